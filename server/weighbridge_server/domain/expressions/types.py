"""What expressions may name, and of which kind it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of values, as messages call them."""

    NUMBER = "number"
    TEXT = "text"
    TRUTH = "truth value"
    TIME = "time"
    VALUE = "value"
    """A number, a text or a truth value: only the version that is looked at knows."""


@dataclass(frozen=True)
class Scalar:
    """One value."""

    kind: Kind
    choices: Sequence[str] = ()
    """Of a text: the only ones that there are; none: any."""
    always: bool = False
    """It is never missing."""


@dataclass(frozen=True)
class Message:
    """Named parts."""

    what: str
    """What has them, for messages: ``a version``."""
    fields: Mapping[str, Type]
    itself: str = ""
    """The part that is meant where none is named."""


@dataclass(frozen=True)
class Map:
    """Parts under names that the user chose."""

    of: Scalar | Message


@dataclass(frozen=True)
class Names:
    """A set of texts, which only ``in`` looks into."""


@dataclass(frozen=True)
class Rows:
    """A list of things with parts, which ``exists`` and ``all`` look into."""

    of: Message


Type = Scalar | Message | Map | Names | Rows
