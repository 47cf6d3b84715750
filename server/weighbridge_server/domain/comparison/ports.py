"""What comparing needs of storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from weighbridge.core.comparison import FileCounts, FileDifference
from weighbridge.core.values import Version


@dataclass(frozen=True)
class FilesBeside:
    """The files of versions beside each other; lists stand in the order of the versions."""

    differing: Sequence[FileDifference]
    """The first of those that are not the same everywhere, in the order of the paths' bytes."""
    differing_total: int
    """How many there are."""
    counts: Sequence[FileCounts]
    shared_bytes: Sequence[int]
    """Of each version, the bytes of its chunks that the first has too, a chunk as often as the version has it."""


class ComparisonRows(Protocol):
    """What versions have in common."""

    def files(self, versions: Sequence[Version], most: int) -> FilesBeside:
        """The files of versions, one of which may be there twice; of those that differ at most ``most``."""
        ...
