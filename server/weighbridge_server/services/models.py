"""``ModelService`` on the domain."""

from __future__ import annotations

import grpc

from weighbridge.core.model_check import TEXTS
from weighbridge.v1 import models_pb2, models_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.registry.models import Models
from weighbridge_server.services.actor import actor_of, caller_of


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """See ``models.proto``."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def CreateModel(self, request: models_pb2.CreateModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        model = self._models.create(
            actor_of(context),
            request.request_id,
            request.name,
            request.owner,
            request.description,
            team=request.team,
            contact=request.contact,
            card=request.card,
        )
        return convert.model_message(model)

    def GetModel(self, request: models_pb2.GetModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        return convert.model_message(self._models.get(request.name))

    def ListModels(
        self, request: models_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> models_pb2.ListModelsResponse:
        models, token = self._models.list(
            request.page_size,
            request.page_token,
            show_deleted=request.show_deleted,
            readable=caller_of(context).readable,
        )
        return models_pb2.ListModelsResponse(
            models=[convert.model_message(model) for model in models], next_page_token=token
        )

    def UpdateModel(self, request: models_pb2.UpdateModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        texts: dict[str, str] = {field: getattr(request, field) for field in TEXTS if request.HasField(field)}
        model = self._models.update(actor_of(context), request.request_id, request.name, texts)
        return convert.model_message(model)

    def DeleteModel(self, request: models_pb2.DeleteModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        model = self._models.delete(actor_of(context), request.request_id, request.name, request.reason)
        return convert.model_message(model)

    def RestoreModel(self, request: models_pb2.RestoreModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        return convert.model_message(self._models.restore(actor_of(context), request.request_id, request.name))
