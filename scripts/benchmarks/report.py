"""What a section found: tables to read, and lines that must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Bound:
    """What a value must be."""

    sense: Literal[">=", "<="]
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return value >= self.limit if self.sense == ">=" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.sense} {self.limit:.4g}"


def at_least(limit: float) -> Bound:
    """The value must be no smaller."""
    return Bound(">=", limit)


def at_most(limit: float) -> Bound:
    """The value must be no larger."""
    return Bound("<=", limit)


@dataclass(frozen=True)
class Line:
    """One figure."""

    name: str
    value: float | None
    """None: could not be measured here; ``note`` says why."""
    unit: str
    bound: Bound | None = None
    note: str = ""
    in_table: bool = False
    """A table shows it too: not repeated for people."""

    @property
    def ok(self) -> bool | None:
        """Whether it holds what it must; None where it must hold nothing, or was not measured."""
        if self.bound is None or self.value is None:
            return None
        return self.bound.holds(self.value)


@dataclass(frozen=True)
class Table:
    """Figures side by side; cells are text or numbers, None where there is nothing to say."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]


@dataclass(frozen=True)
class Bar:
    """One bar of the chart: the seconds that a contender took on a place."""

    place: str
    what: Literal["push", "pull"]
    contender: str
    seconds: float


@dataclass
class Section:
    """Everything that one section found."""

    name: str
    tables: list[Table] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    """Why the section ended before its end."""
