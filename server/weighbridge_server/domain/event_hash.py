"""The hash that binds each event of the journal to the one before it.

``hash = BLAKE3-256(previous_hash || canonical JSON of the event)``, where the JSON (RFC 8785) is an object of
the columns ``revision time actor action resource before after``. Times are RFC 3339 in UTC with six decimals;
``before`` and ``after`` enter as the text they are stored as. ``protos/SPEC.md`` has a test vector.
"""

from __future__ import annotations

from datetime import UTC, datetime

import rfc8785
from blake3 import blake3

from weighbridge.core.digest import SIZE_BYTES, Digest

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
    """The hash of one event, 32 bytes."""
    columns: dict[str, str | int] = {
        "revision": revision,
        "time": time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": actor,
        "action": action,
        "resource": resource,
        "before": before,
        "after": after,
    }
    return blake3(previous + rfc8785.dumps(columns)).digest()
