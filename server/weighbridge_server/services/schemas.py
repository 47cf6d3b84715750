"""The methods of ``LifecycleService`` that set schemas and hold versions against them."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from weighbridge.v1 import lifecycle_pb2
from weighbridge.wire import convert
from weighbridge_server.domain.schema.schemas import Schemas
from weighbridge_server.services.actor import actor_of, caller_of


class SchemaMethods:
    """See ``lifecycle.proto``. A part of ``LifecycleServicer``."""

    _schemas: Schemas

    def SetSchema(self, request: lifecycle_pb2.SetSchemaRequest, context: grpc.ServicerContext) -> lifecycle_pb2.Schema:
        schema = self._schemas.set(
            actor_of(context),
            request.request_id,
            request.prefix,
            request.json_schema,
            request.expected_revision if request.HasField("expected_revision") else None,
        )
        return convert.schema_message(schema)

    def GetSchema(self, request: lifecycle_pb2.GetSchemaRequest, context: grpc.ServicerContext) -> lifecycle_pb2.Schema:
        revision = request.revision if request.HasField("revision") else None
        return convert.schema_message(self._schemas.get(request.name, revision))

    def ListSchemas(
        self, request: lifecycle_pb2.ListSchemasRequest, context: grpc.ServicerContext
    ) -> lifecycle_pb2.ListSchemasResponse:
        schemas = self._schemas.list(caller_of(context).readable)
        return lifecycle_pb2.ListSchemasResponse(schemas=map(convert.schema_message, schemas))

    def CheckSchema(
        self, request: lifecycle_pb2.CheckSchemaRequest, context: grpc.ServicerContext
    ) -> Iterator[lifecycle_pb2.CheckedVersion]:
        for checked in self._schemas.check(request.target, request.json_schema):
            yield convert.checked_message(checked)
