"""Fixed cuts every 2 MiB: for files without a format that says where to cut better, and for large parts of others."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.chunking.span import Span
from weighbridge.core.limits import CHUNK_BYTES


def spans(size_bytes: int) -> Iterator[Span]:
    """Spans of 2 MiB that cover ``size_bytes``; the last may be shorter."""
    return stretch(0, size_bytes)


def stretch(begin: int, end: int, dtype: str | None = None) -> Iterator[Span]:
    """Spans of 2 MiB from ``begin`` that cover the file up to ``end``; the last may be shorter."""
    for offset in range(begin, end, CHUNK_BYTES):
        yield Span(offset, min(CHUNK_BYTES, end - offset), dtype)
