"""``ModelService`` on the domain."""

from __future__ import annotations

import grpc

from weighbridge.v1 import models_pb2, models_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.models import Models
from weighbridge_server.services.actor import actor_of


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """See ``models.proto``."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def CreateModel(self, request: models_pb2.CreateModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        model = self._models.create(
            actor_of(context), request.request_id, request.name, request.owner, request.description
        )
        return convert.model_message(model)

    def GetModel(self, request: models_pb2.GetModelRequest, context: grpc.ServicerContext) -> models_pb2.Model:
        return convert.model_message(self._models.get(request.name))

    def ListModels(
        self, request: models_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> models_pb2.ListModelsResponse:
        models, token = self._models.list(request.page_size, request.page_token)
        return models_pb2.ListModelsResponse(
            models=[convert.model_message(model) for model in models], next_page_token=token
        )
