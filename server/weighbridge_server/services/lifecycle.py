"""``LifecycleService`` on the domain: its methods, a file for each thing that they are about."""

from __future__ import annotations

from weighbridge.v1 import lifecycle_pb2_grpc
from weighbridge_server.domain.lifecycle.aliases import Aliases
from weighbridge_server.domain.lifecycle.rollback import Rollbacks
from weighbridge_server.domain.lifecycle.stages import Stages
from weighbridge_server.domain.policy.approvals import Approvals
from weighbridge_server.domain.policy.policies import Policies
from weighbridge_server.domain.schema.schemas import Schemas
from weighbridge_server.services.approvals import ApprovalMethods
from weighbridge_server.services.pointers import PointerMethods
from weighbridge_server.services.policies import PolicyMethods
from weighbridge_server.services.schemas import SchemaMethods


class LifecycleServicer(
    PointerMethods, SchemaMethods, PolicyMethods, ApprovalMethods, lifecycle_pb2_grpc.LifecycleServiceServicer
):
    """See ``lifecycle.proto``."""

    def __init__(
        self,
        aliases: Aliases,
        stages: Stages,
        rollbacks: Rollbacks,
        schemas: Schemas,
        policies: Policies,
        approvals: Approvals,
    ) -> None:
        self._aliases = aliases
        self._stages = stages
        self._rollbacks = rollbacks
        self._schemas = schemas
        self._policies = policies
        self._approvals = approvals
