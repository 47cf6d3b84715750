"""Webhooks, and the log of what they sent."""

from __future__ import annotations

from weighbridge.core.webhooks import Webhook, WebhookDelivery
from weighbridge.v1 import webhooks_pb2
from weighbridge.wire.convert.common import time_message, time_value


def webhook_message(webhook: Webhook) -> webhooks_pb2.Webhook:
    """A webhook as a message."""
    since, again, last = webhook.failing_since_time, webhook.next_try_time, webhook.last_delivery
    return webhooks_pb2.Webhook(
        id=webhook.id,
        url=webhook.url,
        target=webhook.target,
        alias=webhook.alias,
        actions=webhook.actions,
        description=webhook.description,
        actor=webhook.actor,
        created_time=time_message(webhook.created_time),
        position=webhook.position,
        paused=webhook.paused,
        paused_reason=webhook.paused_reason,
        failures=webhook.failures,
        failing_since_time=None if since is None else time_message(since),
        next_try_time=None if again is None else time_message(again),
        last_delivery=None if last is None else delivery_message(last),
    )


def webhook_value(message: webhooks_pb2.Webhook) -> Webhook:
    """A message as a webhook. Raises: DataLoss, where a time is none."""
    return Webhook(
        id=message.id,
        url=message.url,
        target=message.target,
        alias=message.alias,
        actions=tuple(message.actions),
        description=message.description,
        actor=message.actor,
        created_time=time_value(message.created_time),
        position=message.position,
        paused=message.paused,
        paused_reason=message.paused_reason,
        failures=message.failures,
        failing_since_time=time_value(message.failing_since_time) if message.HasField("failing_since_time") else None,
        next_try_time=time_value(message.next_try_time) if message.HasField("next_try_time") else None,
        last_delivery=delivery_value(message.last_delivery) if message.HasField("last_delivery") else None,
    )


def delivery_message(delivery: WebhookDelivery) -> webhooks_pb2.WebhookDelivery:
    """A try as a message."""
    return webhooks_pb2.WebhookDelivery(
        delivery_id=delivery.delivery_id,
        webhook_id=delivery.webhook_id,
        revision=delivery.revision,
        attempt=delivery.attempt,
        time=time_message(delivery.time),
        http_status=delivery.http_status or 0,
        error=delivery.error,
        duration_ms=delivery.duration_ms,
    )


def delivery_value(message: webhooks_pb2.WebhookDelivery) -> WebhookDelivery:
    """A message as a try. Raises: DataLoss, where its time is none."""
    return WebhookDelivery(
        delivery_id=message.delivery_id,
        webhook_id=message.webhook_id,
        revision=message.revision,
        attempt=message.attempt,
        time=time_value(message.time),
        http_status=message.http_status or None,
        error=message.error,
        duration_ms=message.duration_ms,
    )
