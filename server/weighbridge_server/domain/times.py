"""Times, as messages and facts of errors say them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(time: datetime) -> str:
    """``2026-11-24T10:00:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_epoch(time_s: int) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(time_s, UTC)
