"""Which tensors of a version are loaded, and which rows of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import islice

from weighbridge.core.errors import UsageError
from weighbridge.tensors.stored import Stored

Tensors = Callable[[str], bool] | Iterable[str] | None
Rows = Mapping[str, tuple[int, int]] | None

_NAMED = 5
_COMPARED_MOST = 10_000
"""Comparing is slow, and names that are alike are near one another."""


class Choice:
    """A choice by name, checked as far as that goes without the names."""

    def __init__(self, tensors: Tensors, rows: Rows) -> None:
        """``tensors`` and ``rows``: as ``Client.load`` takes them. Raises UsageError."""
        self._takes: Callable[[str], bool] | None = None
        self._patterns: Sequence[str] | None = None
        if isinstance(tensors, str):
            raise UsageError(f"tensors is a list of names and patterns, such as [{tensors!r}], or a function of a name")
        if callable(tensors):
            self._takes = tensors
        elif tensors is not None:
            self._patterns = tuple(tensors)
        self._rows = {name: _bounds(name, pair) for name, pair in (rows or {}).items()}

    def of(self, ref: str, names: Collection[str]) -> set[str]:
        """The names that are chosen of those that a version has.

        Raises:
            UsageError: a pattern or a name matches none; says which ones come close.
        """
        if self._takes is not None:
            chosen = {name for name in names if self._takes(name)}
            if names and not chosen:
                raise UsageError(f"tensors= takes none of the {len(names)} tensors of {ref}: {_some(names)}")
        elif self._patterns is not None:
            chosen = set[str]()
            for pattern in self._patterns:
                matched = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
                if not matched:
                    raise UsageError(f"{ref} has no tensor {pattern!r}; {_close(pattern, names)}")
                chosen |= matched
        else:
            chosen = set(names)
        for name in self._rows:
            if name not in names:
                raise UsageError(f"rows= names tensor {name!r}, which {ref} has not; {_close(name, names)}")
            if name not in chosen:
                raise UsageError(f"rows= names tensor {name!r}, which tensors= does not take")
        return chosen

    def part(self, stored: Stored) -> Stored:
        """What is wanted of a chosen tensor. Raises UsageError."""
        bounds = self._rows.get(stored.name)
        return stored if bounds is None else stored.rows(*bounds)


def _bounds(name: str, pair: tuple[int, int]) -> tuple[int, int]:
    try:
        begin, end = map(operator.index, pair)
    except (TypeError, ValueError) as fault:
        raise UsageError(f"rows of tensor {name!r} are a begin and an end, such as (0, 1024), not {pair!r}") from fault
    return begin, end


def _close(name: str, names: Collection[str]) -> str:
    close = get_close_matches(name, list(islice(names, _COMPARED_MOST)), _NAMED, 0.5)
    return f"close to it are {', '.join(map(repr, close))}" if close else f"it has {_some(names)}"


def _some(names: Collection[str]) -> str:
    listed = ", ".join(repr(name) for name in islice(names, _NAMED)) or "none"
    return f"{listed} and {len(names) - _NAMED} more" if len(names) > _NAMED else listed
