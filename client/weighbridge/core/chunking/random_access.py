"""How a chunker sees a file: random access, and nothing but its bytes."""

from __future__ import annotations

from typing import Protocol

from weighbridge.core.chunking.tensors import NotThisFormat


class RandomAccess(Protocol):
    """A file that can be read anywhere."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer only at the end of the file."""
        ...


def read_exactly(source: RandomAccess, offset: int, size: int) -> bytes:
    """``size`` bytes from ``offset``; the caller has bounded ``size``.

    Raises:
        NotThisFormat: the file ends before.
    """
    raw = source.read_at(offset, size)
    if len(raw) != size:
        raise NotThisFormat("the file ends early")
    return raw
