"""``WebhookService`` on the domain."""

from __future__ import annotations

import grpc

from weighbridge.v1 import webhooks_pb2, webhooks_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.webhooks.webhooks import Webhooks
from weighbridge_server.services.actor import actor_of


class WebhookServicer(webhooks_pb2_grpc.WebhookServiceServicer):
    """See ``webhooks.proto``."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def CreateWebhook(
        self, request: webhooks_pb2.CreateWebhookRequest, context: grpc.ServicerContext
    ) -> webhooks_pb2.CreateWebhookResponse:
        made = self._webhooks.create(
            actor_of(context),
            request.request_id,
            request.url,
            request.target,
            request.alias,
            list(request.actions),
            request.description,
            request.secret,
        )
        return webhooks_pb2.CreateWebhookResponse(webhook=convert.webhook_message(made.webhook), secret=made.secret)

    def ListWebhooks(
        self, request: webhooks_pb2.ListWebhooksRequest, context: grpc.ServicerContext
    ) -> webhooks_pb2.ListWebhooksResponse:
        webhooks, token = self._webhooks.list(request.page_size, request.page_token)
        return webhooks_pb2.ListWebhooksResponse(webhooks=map(convert.webhook_message, webhooks), next_page_token=token)

    def UpdateWebhook(
        self, request: webhooks_pb2.UpdateWebhookRequest, context: grpc.ServicerContext
    ) -> webhooks_pb2.Webhook:
        webhook = self._webhooks.update(
            actor_of(context),
            request.id,
            url=request.url if request.HasField("url") else None,
            description=request.description if request.HasField("description") else None,
            secret=request.secret if request.HasField("secret") else None,
            paused=request.paused if request.HasField("paused") else None,
        )
        return convert.webhook_message(webhook)

    def DeleteWebhook(
        self, request: webhooks_pb2.DeleteWebhookRequest, context: grpc.ServicerContext
    ) -> webhooks_pb2.DeleteWebhookResponse:
        self._webhooks.delete(actor_of(context), request.request_id, request.id)
        return webhooks_pb2.DeleteWebhookResponse()

    def ReplayWebhook(
        self, request: webhooks_pb2.ReplayWebhookRequest, context: grpc.ServicerContext
    ) -> webhooks_pb2.Webhook:
        replayed = self._webhooks.replay(actor_of(context), request.request_id, request.id, request.from_revision)
        return convert.webhook_message(replayed)

    def TestWebhook(
        self, request: webhooks_pb2.TestWebhookRequest, context: grpc.ServicerContext
    ) -> webhooks_pb2.WebhookDelivery:
        return convert.delivery_message(self._webhooks.test(request.id))

    def ListWebhookDeliveries(
        self, request: webhooks_pb2.ListWebhookDeliveriesRequest, context: grpc.ServicerContext
    ) -> webhooks_pb2.ListWebhookDeliveriesResponse:
        deliveries, token = self._webhooks.deliveries(request.id, request.page_size, request.page_token)
        return webhooks_pb2.ListWebhookDeliveriesResponse(
            deliveries=map(convert.delivery_message, deliveries), next_page_token=token
        )
