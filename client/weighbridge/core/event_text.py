"""Events as lines of JSON: the journal's export. ``protos/SPEC.md``, section 7, has the format."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from weighbridge.core.digest import Digest
from weighbridge.core.errors import UsageError
from weighbridge.core.event_hash import time_text
from weighbridge.core.values import Event

LINE_BYTES = 64 * 1024 * 1024
"""No event comes near: what has such a line is not an export."""

_HEX = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("actor", "action", "resource", "before_json", "after_json")
_LARGEST_REVISION = 2**63 - 1


def event_line(event: Event) -> str:
    """One event as one line without its end: ASCII, so that nothing acts on it on its way."""
    members: dict[str, str | int] = {
        "revision": event.revision,
        "time": time_text(event.time),
        "actor": event.actor,
        "action": event.action,
        "resource": event.resource,
        "before_json": event.before,
        "after_json": event.after,
        "previous_hash": event.previous_hash.hex(),
        "hash": event.hash.hex(),
    }
    return json.dumps(members).replace("\x7f", r"\u007f")


def parse_event_line(line: bytes) -> Event:
    """The event of a line.

    Raises:
        UsageError: it is not a line of an export; the message says what is wrong with it.
    """
    try:
        members = json.loads(line.decode())
    except UnicodeDecodeError as fault:
        raise UsageError("it is not UTF-8") from fault
    except (ValueError, RecursionError) as fault:
        raise UsageError("it is not JSON" if line.strip() else "it is empty") from fault
    if not isinstance(members, dict):
        raise UsageError("it is not a JSON object")
    revision = members.get("revision")
    if not isinstance(revision, int) or isinstance(revision, bool) or not 0 <= revision <= _LARGEST_REVISION:
        raise UsageError("its 'revision' is not a number of an event")
    for name in _TEXTS:
        if not _is_text(members.get(name)):
            raise UsageError(f"its {name!r} is not a text")
    return Event(
        revision=revision,
        time=parse_time_text(members.get("time")),
        actor=members["actor"],
        action=members["action"],
        resource=members["resource"],
        before=members["before_json"],
        after=members["after_json"],
        previous_hash=parse_hash_text(members.get("previous_hash"), "previous_hash"),
        hash=parse_hash_text(members.get("hash"), "hash"),
    )


def parse_time_text(text: Any) -> datetime:
    """A time as ``time_text`` writes it. Raises: UsageError."""
    try:
        time = datetime.fromisoformat(text).astimezone(UTC)
        if time_text(time) == text:
            return time
    except (TypeError, ValueError, OverflowError):
        pass
    raise UsageError("its 'time' is not a time such as 2026-10-01T08:30:00.000000Z")


def parse_hash_text(text: Any, name: str) -> Digest:
    """A hash as 64 hex digits. Raises: UsageError."""
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise UsageError(f"its {name!r} is not 64 lowercase hex digits")
    return bytes.fromhex(text)


def _is_text(value: Any) -> bool:
    """A string that can be hashed: JSON can also write halves of surrogate pairs."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
