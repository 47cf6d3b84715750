"""``LifecycleService`` on the domain: its methods, a file for each thing that they are about."""

from __future__ import annotations

from weighbridge.v1 import lifecycle_pb2_grpc
from weighbridge_server.domain.aliases import Aliases
from weighbridge_server.domain.rollback import Rollbacks
from weighbridge_server.domain.schemas import Schemas
from weighbridge_server.domain.stages import Stages
from weighbridge_server.services.pointers import PointerMethods
from weighbridge_server.services.schemas import SchemaMethods


class LifecycleServicer(PointerMethods, SchemaMethods, lifecycle_pb2_grpc.LifecycleServiceServicer):
    """See ``lifecycle.proto``."""

    def __init__(self, aliases: Aliases, stages: Stages, rollbacks: Rollbacks, schemas: Schemas) -> None:
        self._aliases = aliases
        self._stages = stages
        self._rollbacks = rollbacks
        self._schemas = schemas
