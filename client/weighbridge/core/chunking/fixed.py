"""Fixed cuts every 2 MiB: for files without a format that says where to cut better."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.chunking.span import Span
from weighbridge.core.limits import CHUNK_BYTES


def spans(size_bytes: int) -> Iterator[Span]:
    """Spans of 2 MiB that cover ``size_bytes``; the last may be shorter."""
    for offset in range(0, size_bytes, CHUNK_BYTES):
        yield Span(offset, min(CHUNK_BYTES, size_bytes - offset))
