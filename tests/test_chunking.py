"""Cuts cover a file exactly, stay within the limits and depend on nothing but its bytes."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.chunking import Span, cut
from weighbridge.core.limits import CHUNK_BYTES

SIZES = {
    "an empty file": 0,
    "the smallest file": 1,
    "one byte less than a chunk": CHUNK_BYTES - 1,
    "exactly a chunk": CHUNK_BYTES,
    "one byte more than a chunk": CHUNK_BYTES + 1,
    "exactly two chunks": 2 * CHUNK_BYTES,
    "beyond 32 bits": 2**32 + 3,
}


class Bytes:
    """A file in memory; reads past what it holds give zeros, so that it may say any size."""

    def __init__(self, content: bytes, size_bytes: int) -> None:
        self._content = io.BytesIO(content)
        self._size_bytes = size_bytes

    def read_at(self, offset: int, size: int) -> bytes:
        """See ``RandomAccess``."""
        size = max(0, min(size, self._size_bytes - offset))
        self._content.seek(offset)
        return self._content.read(size).ljust(size, b"\0")


def check(spans: list[Span], size_bytes: int) -> None:
    position = 0
    for span in spans:
        assert span.offset == position
        assert 1 <= span.size <= CHUNK_BYTES
        position += span.size
    assert position == size_bytes


@pytest.mark.parametrize("size_bytes", SIZES.values(), ids=SIZES.keys())
def test_cuts_cover_a_file(size_bytes: int) -> None:
    check(list(cut(Bytes(b"", size_bytes), size_bytes)), size_bytes)


@given(st.binary(max_size=200), st.integers(0, 40 * CHUNK_BYTES))
def test_cuts_cover_any_file_and_come_out_the_same_again(content: bytes, extra: int) -> None:
    size_bytes = len(content) + extra
    spans = list(cut(Bytes(content, size_bytes), size_bytes))
    check(spans, size_bytes)
    assert list(cut(Bytes(content, size_bytes), size_bytes)) == spans


def test_cuts_are_made_as_they_are_asked_for() -> None:
    """A file of 1 EiB has half a trillion of them."""
    first = next(iter(cut(Bytes(b"", 2**60), 2**60)))
    assert first == Span(0, CHUNK_BYTES)
