"""The methods of ``LifecycleService`` that move pointers: aliases, stages, rollback."""

from __future__ import annotations

import grpc

from weighbridge.v1 import lifecycle_pb2
from weighbridge.wire import convert
from weighbridge_server.domain.lifecycle.aliases import Aliases
from weighbridge_server.domain.lifecycle.rollback import Rollbacks
from weighbridge_server.domain.lifecycle.stages import Stages
from weighbridge_server.services.actor import actor_of


class PointerMethods:
    """See ``lifecycle.proto``. A part of ``LifecycleServicer``."""

    _aliases: Aliases
    _stages: Stages
    _rollbacks: Rollbacks

    def SetAlias(self, request: lifecycle_pb2.SetAliasRequest, context: grpc.ServicerContext) -> lifecycle_pb2.Alias:
        alias = self._aliases.set(
            actor_of(context),
            request.request_id,
            request.model,
            request.alias,
            request.version,
            _expected(request),
            request.reason,
        )
        return convert.alias_message(alias)

    def DeleteAlias(
        self, request: lifecycle_pb2.DeleteAliasRequest, context: grpc.ServicerContext
    ) -> lifecycle_pb2.DeleteAliasResponse:
        self._aliases.delete(
            actor_of(context), request.request_id, request.model, request.alias, _expected(request), request.reason
        )
        return lifecycle_pb2.DeleteAliasResponse()

    def ListAliases(
        self, request: lifecycle_pb2.ListAliasesRequest, context: grpc.ServicerContext
    ) -> lifecycle_pb2.ListAliasesResponse:
        return lifecycle_pb2.ListAliasesResponse(
            aliases=[convert.alias_message(alias) for alias in self._aliases.list(request.model)]
        )

    def GetAliasHistory(
        self, request: lifecycle_pb2.GetAliasHistoryRequest, context: grpc.ServicerContext
    ) -> lifecycle_pb2.GetAliasHistoryResponse:
        at = convert.time_value(request.at_time) if request.HasField("at_time") else None
        moves, token = self._aliases.history(request.model, request.alias, at, request.page_size, request.page_token)
        return lifecycle_pb2.GetAliasHistoryResponse(
            moves=[convert.alias_move_message(move) for move in moves], next_page_token=token
        )

    def Promote(self, request: lifecycle_pb2.PromoteRequest, context: grpc.ServicerContext) -> lifecycle_pb2.Promotion:
        stage, expected = convert.stage_value(request.stage), _expected(request)
        if request.dry_run:
            promotion = self._stages.would_promote(request.ref, stage, request.reason, expected)
        else:
            promotion = self._stages.promote(
                actor_of(context), request.request_id, request.ref, stage, request.reason, expected
            )
        return convert.promotion_message(promotion)

    def Rollback(self, request: lifecycle_pb2.RollbackRequest, context: grpc.ServicerContext) -> lifecycle_pb2.Alias:
        alias = self._rollbacks.roll_back(
            actor_of(context),
            request.request_id,
            request.model,
            request.alias,
            request.to_version or None,
            request.reason,
            _expected(request),
        )
        return convert.alias_message(alias)


def _expected(
    request: lifecycle_pb2.SetAliasRequest
    | lifecycle_pb2.DeleteAliasRequest
    | lifecycle_pb2.PromoteRequest
    | lifecycle_pb2.RollbackRequest,
) -> int | None:
    return request.expected_revision if request.HasField("expected_revision") else None
