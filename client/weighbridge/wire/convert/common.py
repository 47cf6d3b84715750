"""Times and digests, which every message has."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from weighbridge.core.digest import Digest, parse_digest
from weighbridge.core.errors import DataLoss, InvalidReference


def time_message(time: datetime) -> Timestamp:
    """An aware datetime as a message."""
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
