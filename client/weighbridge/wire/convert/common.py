"""Times and digests, which every message has."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from weighbridge.core.digest import Digest, parse_digest
from weighbridge.core.errors import DataLoss, InvalidReference, UsageError


def time_message(time: datetime) -> Timestamp:
    """A datetime as a message; one without a zone is local.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(time, datetime):  # callers without a type checker
        raise UsageError(
            f"a time is a datetime, such as datetime(2026, 12, 1) or datetime.fromisoformat('2026-12-01'); "
            f"{str(time)[:80]!r} is a {type(time).__name__}"
        )
    message = Timestamp()
    message.FromDatetime(time.astimezone(UTC))
    return message


def time_value(message: Timestamp) -> datetime:
    """A message as a datetime in UTC.

    Raises:
        DataLoss: it is beyond the years 1 to 9999.
    """
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as fault:
        raise DataLoss(f"the server sent a time that is none: {message.seconds} s, {message.nanos} ns") from fault


def digest_value(text: str, what: str) -> Digest:
    """A digest as it was sent. Raises: DataLoss, where it is none."""
    try:
        return parse_digest(text)
    except InvalidReference as fault:
        raise DataLoss(f"the server sent {text[:80]!r} as the digest of {what[:80]!r}") from fault
