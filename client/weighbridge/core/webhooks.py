"""Webhooks: where events of the journal are sent to, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

TEST_ACTION = "webhook.test"
"""Of what is posted to try a webhook out; it is no event, and has revision 0."""


@dataclass(frozen=True)
class WebhookDelivery:
    """One try to send an event."""

    delivery_id: str
    """A UUID, which the receiver finds in ``Weighbridge-Delivery-Id``."""
    webhook_id: int
    revision: int
    """Of the event; 0: a test."""
    attempt: int
    """The how many-th try in a row to send this event, from 1."""
    time: datetime
    """When it ended."""
    http_status: int | None
    """What the receiver answered; None: nothing."""
    error: str
    """Why it does not count as delivered; empty: it does."""
    duration_ms: int

    @property
    def ok(self) -> bool:
        """Whether the receiver took it."""
        return not self.error


@dataclass(frozen=True)
class Webhook:
    """Where events are sent to."""

    id: int
    url: str
    """A query in it reads ``…``."""
    target: str
    """Whose events: a model's name, a prefix of names, or ``*``."""
    alias: str
    """Only what happens to this alias; empty: everything."""
    actions: Sequence[str]
    """Only these, or with a dot at its end all that begin so; empty: all."""
    description: str
    actor: str
    created_time: datetime
    position: int
    """The cursor: nothing that it wants up to this revision is still to be sent."""
    paused: bool
    paused_reason: str
    """Who paused it, or why the server did; empty: it is not paused."""
    failures: int
    """How many tries to send the next event have failed."""
    failing_since_time: datetime | None
    next_try_time: datetime | None
    """None: as soon as there is something to send, or it is paused."""
    last_delivery: WebhookDelivery | None
    """The newest try to send an event; tests do not count."""


@dataclass(frozen=True)
class WebhookCreated:
    """A webhook that was made, and its secret, which no call returns again."""

    webhook: Webhook
    secret: str = field(repr=False)
