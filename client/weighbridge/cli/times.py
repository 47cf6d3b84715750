"""Times as they are typed on the command line."""

from __future__ import annotations

from datetime import datetime

from weighbridge.core.errors import UsageError


def parse_time(flag: str, text: str | None) -> datetime | None:
    """A time in ISO 8601, local unless it says its zone; ``flag`` is what it was given to.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as fault:
        raise UsageError(f"{flag} {text!r} is not a time such as 2026-10-01, or 2026-10-01T08:30:00Z") from fault
