"""The hash that binds each event of the journal to the one before it: for the server, and for whoever checks it.

``hash = BLAKE3-256(previous_hash || canonical JSON of the event)``, where the JSON (RFC 8785) is an object of
the columns ``revision time actor action resource before after``. Times are RFC 3339 in UTC with six decimals;
``before`` and ``after`` enter as the text they are stored as. ``protos/SPEC.md`` has a test vector.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from blake3 import blake3

from weighbridge.core.digest import SIZE_BYTES, Digest
from weighbridge.core.values import Event

GENESIS = bytes(SIZE_BYTES)
"""Stands before the first event."""


def event_hash(
    previous: Digest,
    *,
    revision: int,
    time: datetime,
    actor: str,
    action: str,
    resource: str,
    before: str,
    after: str,
) -> Digest:
    """The hash of one event, 32 bytes.

    Raises:
        UnicodeEncodeError: a text holds half of a surrogate pair, which no event does.
    """
    columns: dict[str, str | int] = {
        "revision": revision,
        "time": time_text(time),
        "actor": actor,
        "action": action,
        "resource": resource,
        "before": before,
        "after": after,
    }
    # RFC 8785 asks more than this only of numbers with fractions and of names beyond ASCII; here are none.
    canonical = json.dumps(columns, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return blake3(previous + canonical.encode()).digest()


def hash_of(event: Event) -> Digest:
    """The hash that an event has if it is what was written after the one that it names."""
    return event_hash(
        event.previous_hash,
        revision=event.revision,
        time=event.time,
        actor=event.actor,
        action=event.action,
        resource=event.resource,
        before=event.before,
        after=event.after,
    )


def time_text(time: datetime) -> str:
    """A time as it is hashed: RFC 3339 in UTC with exactly six decimals and ``Z``."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
