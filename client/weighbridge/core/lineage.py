"""What versions were made from, and what was made from them: a graph of descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from weighbridge.core.values import Dataset, Relation, Version

Direction = Literal["up", "down", "both"]
"""To what a version was made from, to what was made from it, or both."""

MOST_NODES = 10_000
"""A lineage lists the nearest versions up to this many."""


@dataclass(frozen=True)
class LineageNode:
    """A version in a lineage."""

    version: Version
    """Without its record; ``deletion`` is set where it was deleted, or its model."""
    generation: int
    """How far it is from the origin, by the shortest line: negative up, positive down."""
    datasets: Sequence[Dataset] = ()
    """The data that it was made from."""


@dataclass(frozen=True)
class LineageEdge:
    """One step of descent; both ends are ``name:number``."""

    child: str
    parent: str
    relation: Relation


@dataclass(frozen=True)
class Lineage:
    """A graph of descent: ancestors and descendants of its origin, and not what else descends from the former."""

    nodes: Sequence[LineageNode]
    """Each version once, the nearest first; of a version's lineage the first is that version."""
    edges: Sequence[LineageEdge]
    """All steps between two of the nodes."""
    truncated: bool = False
    """There is more than what is listed: at most 10,000 versions, and what one message carries."""
