"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def size(size_bytes: float) -> str:
    """``91.2 MB``: powers of ten, as disks and networks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def counted(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """``0:07``, ``12:00``, ``3:20:00``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours > 99:
        return "days"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def moment(time: datetime) -> str:
    """A time for people, in their own zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def day(time: datetime) -> str:
    """A day for people, in their own zone."""
    return time.astimezone().strftime("%Y-%m-%d")


def rfc3339(time: datetime) -> str:
    """A time for programs: RFC 3339 in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
