"""Where to cut a file: the seam behind which formats are added, one file each.

A chunker sees the file through random access only and returns spans that cover it exactly, in order,
each 1 byte to 2 MiB long. The same bytes always give the same spans: a version's digest depends on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from weighbridge.core.chunking import fixed
from weighbridge.core.chunking.span import Span

__all__ = ["RandomAccess", "Span", "cut"]


class RandomAccess(Protocol):
    """A file that can be read anywhere."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer only at the end of the file."""
        ...


def cut(source: RandomAccess, size_bytes: int) -> Iterator[Span]:
    """The spans of a file of ``size_bytes``; none for an empty file."""
    return fixed.spans(size_bytes)
