"""One event on its way to a webhook's receiver."""

from __future__ import annotations

from weighbridge.core.release import __version__
from weighbridge.core.values import Event
from weighbridge.core.webhook_signature import SIGNATURE_HEADER, webhook_body, webhook_signature
from weighbridge_server.domain.webhooks.ports import Answer, Sender, Target


def post_event(sender: Sender, target: Target, event: Event, delivery_id: str) -> Answer:
    """Posts an event, signed; what came of it."""
    body = webhook_body(event, target.webhook_id, delivery_id)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"weighbridge/{__version__}",
        SIGNATURE_HEADER: webhook_signature(target.secret, target.time_s, body),
        "Weighbridge-Webhook-Id": str(target.webhook_id),
        "Weighbridge-Delivery-Id": delivery_id,
        "Weighbridge-Revision": str(event.revision),
    }
    return sender.post(target.url, headers, body)
