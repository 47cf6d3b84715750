"""A change as a person says it: ``lr 0.001 -> 0.01``."""

from __future__ import annotations

from collections.abc import Iterable

from weighbridge.core.comparison import FieldDifference
from weighbridge.core.values import Scalar

_VALUE_CHARS = 120


def change(name: str, before: Scalar | None, after: Scalar | None) -> str:
    """How one value became another; None is one that is not there."""
    if before is None:
        return f"{name} {_said(after)} added".replace("  ", " ")
    if after is None:
        return f"{name} removed, was {_said(before)}" if before != "" else f"{name} removed"
    return f"{name} {_said(before)} -> {_said(after)}"


def changes(differences: Iterable[FieldDifference], prefix: str = "") -> list[str]:
    """Those of two versions that differ, each in words."""
    return [change(f"{prefix}{one.name}", *one.values) for one in differences if one.differs]


def at_most(items: list[str], most: int, more: str = "more") -> list[str]:
    """The first ``most`` items, and how many more there are."""
    left_out = len(items) - most
    # One item in place of one would say less and take as much room.
    return items if left_out <= 1 else [*items[:most], f"and {left_out} {more}"]


def _said(value: Scalar | None) -> str:
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}…"
