"""What webhooks need of storage, and of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from weighbridge.core.values import Event
from weighbridge.core.webhooks import Webhook, WebhookDelivery


@dataclass(frozen=True)
class Target:
    """Where a webhook posts to, and what signs it."""

    webhook_id: int
    url: str = field(repr=False)
    """Whole."""
    secret: str = field(repr=False)
    time_s: int
    """Now, by the database's clock, in seconds since 1970."""


@dataclass(frozen=True)
class DueEvent:
    """What a webhook sends next."""

    target: Target
    event: Event
    position: int
    """Where the cursor stands."""
    failures: int
    """How many tries to send it have failed."""


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    status: int | None
    """None: nothing was answered."""
    error: str
    """Empty: it was taken, with 2xx."""
    duration_ms: int


class Sender(Protocol):
    """Posts. Safe to use from several threads."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request, bounded in time; no redirect is followed, and of the answer only the status is read."""
        ...

    def end(self) -> None:
        """Ends requests that run; later ones are not begun."""
        ...


class WebhookRows(Protocol):
    """Webhooks. All times are the database's."""

    def add(
        self,
        url: str,
        secret: str,
        target: str,
        alias: str,
        actions: Sequence[str],
        description: str,
    ) -> int:
        """Adds one by the transaction's actor, whose cursor is at the newest event; returns its id."""
        ...

    def count(self) -> int:
        """How many there are; nobody adds one until the transaction ends."""
        ...

    def get(self, webhook_id: int, *, lock: bool = False) -> Webhook | None: ...

    def secret(self, webhook_id: int) -> str:
        """Of one that is there."""
        ...

    def page(self, after: int, size: int) -> list[Webhook]:
        """In order of id, from the first after ``after``."""
        ...

    def update(self, webhook_id: int, texts: Mapping[str, str]) -> None:
        """Changes ``url``, ``description``, ``secret`` or ``paused_reason``, and forgets failures."""
        ...

    def move(self, webhook_id: int, position: int) -> None:
        """Puts the cursor somewhere else, and forgets failures."""
        ...

    def delete(self, webhook_id: int) -> None: ...

    def target(self, webhook_id: int) -> Target | None:
        """Where it posts to."""
        ...

    def deliveries(self, webhook_id: int, before: int, size: int) -> tuple[list[WebhookDelivery], int]:
        """The newest first, from the first older than the key ``before`` (0: the newest), and the last one's key."""
        ...

    # -- sending -------------------------------------------------------------------------------

    def skip(self, lag: int, reach: int) -> bool:
        """Moves cursors over what nobody waits for; whether one was moved, and there may be more to move.

        Of those that have no wanted event among the next ``reach`` and are at least ``lag`` behind the newest.
        """
        ...

    def claim(self, claim: str, lease_s: float, most: int, reach: int) -> list[int]:
        """Claims webhooks that have something to send, now, and are not claimed; those that tried last come last."""
        ...

    def wait_s(self, most_s: float) -> float:
        """How long until the next try, or the end of another's claim, at most ``most_s``."""
        ...

    def next_due(self, webhook_id: int, claim: str, lease_s: float, reach: int) -> DueEvent | None:
        """What a claimed one sends next, and renews the claim.

        None: nothing now, or it is paused, deleted, or claimed by another.
        """
        ...

    def delivered(self, due: DueEvent, claim: str) -> None:
        """Moves the cursor over an event, unless somebody moved it meanwhile."""
        ...

    def failed(self, due: DueEvent, claim: str, again_in_s: float) -> float | None:
        """Notes that a try failed and when the next is; since how many seconds they fail, with this event next.

        None: somebody moved the cursor meanwhile, or has the claim now.
        """
        ...

    def release(self, webhook_id: int, claim: str) -> None:
        """Gives back a claim."""
        ...

    def log(
        self, delivery_id: str, target: Target, revision: int, attempt: int, answer: Answer
    ) -> WebhookDelivery | None:
        """Adds to the log; None: the webhook was deleted."""
        ...

    def trim(self, webhook_id: int, most: int) -> None:
        """Forgets all of its log but the newest."""
        ...
