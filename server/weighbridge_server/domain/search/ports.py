"""What searching needs of storage."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from weighbridge.core.digest import Digest
from weighbridge.core.values import MetricSummary
from weighbridge_server.domain.expressions.mistakes import Mistake
from weighbridge_server.domain.expressions.typed import Constant, Typed

KeyValue = float | str | bool | datetime | None
"""What a version has of a key; None: it lacks it."""


@dataclass(frozen=True)
class SortKey:
    """What to sort by, of one kind that is not VALUE; what is missing, and NaN, comes last in either direction."""

    expression: Typed
    descending: bool


@dataclass(frozen=True)
class Section:
    """A part of an order: those versions that have a value of its first key, or those that lack ``lacking``.

    A list is its sections one after the other. Each is sorted by its keys, the newest first where they are equal.
    """

    keys: Sequence[SortKey]
    lacking: Typed | None = None


@dataclass(frozen=True)
class Position:
    """Where a version stands in an order."""

    section: int
    keys: Sequence[KeyValue]
    """Texts by their first 100 characters, by which they are sorted."""
    id: int
    """Of the version: its key in ``VersionRows``."""


@dataclass(frozen=True)
class Search:
    """Which versions, in which order."""

    model: str
    """Empty: of every model that is not deleted."""
    manifest: Digest | None
    deleted: bool
    """Deleted ones too."""
    condition: Typed | None
    sections: Sequence[Section]
    readable: Collection[str] | None = None
    """Of every model: only of those whose names are below one of these prefixes. None: of all."""


class SearchRows(Protocol):
    """Versions by what they record."""

    def newest(self) -> int:
        """The id of the newest version; 0 when there is none."""
        ...

    def page(self, search: Search, newest: int, after: Position | None, size: int) -> list[Position]:
        """The first ``size`` behind a position, of those whose ids are at most ``newest``.

        Raises:
            LimitExceeded: the database needs too long.
            InvalidExpression: what is asked for is too large to be asked.
        """
        ...

    def metrics(self, ids: Sequence[int], names: Sequence[str]) -> Mapping[int, Sequence[MetricSummary]]:
        """These metrics of these versions, in order of name."""
        ...

    def matches(self, text: str, pattern: str) -> bool | None:
        """Whether a regular expression, which can be read, is found in a text: as ``matches`` in a filter.

        None: that takes too long to find out, of this one or of all in this transaction.
        """
        ...

    def unreadable(self, patterns: Sequence[Constant]) -> list[Mistake]:
        """The regular expressions that are none, or that take too long to read."""
        ...
