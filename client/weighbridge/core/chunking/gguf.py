"""Tensors of a GGUF file: ``magic | version | counts | metadata | table of the tensors | padding | the tensors``.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.

The metadata has to be stepped over value by value, which is what takes the time: a vocabulary is some 100,000
strings. How long a tensor is follows from where the next one begins, not from its type and dimensions, so that
quantizations that do not exist yet are cut no differently; the padding behind it is part of it.
"""

from __future__ import annotations

import struct

from weighbridge.core.chunking.random_access import RandomAccess
from weighbridge.core.chunking.tensors import TENSORS_MOST, NotThisFormat, Tensor, in_order

MAGIC = b"GGUF"

HEADER_BYTES_MOST = 32 * 1024 * 1024
"""Most that is read before the tensors. Vocabularies of 200,000 tokens with their merges take some 12 MB."""

_DIMENSIONS_MOST = 8
_ALIGNMENT_MOST = 65_536
_DTYPES = {0: "f32", 1: "f16", 24: "i8", 25: "i16", 26: "i32", 27: "i64", 28: "f64", 30: "bf16"}
"""``enum ggml_type``; the others are quantized, blocks of mixed content."""

_U32, _STRING, _ARRAY = 4, 8, 9
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""``enum gguf_metadata_value_type``: the values of one size."""

_u32 = struct.Struct("<I")
_u64 = struct.Struct("<Q")


def tensors(source: RandomAccess, size_bytes: int) -> list[Tensor]:
    """The tensors of a GGUF file, as they lie in it; each has bytes. Their shapes have the fastest dimension first.

    Raises:
        NotThisFormat: it is none.
    """
    header = _Cursor(source, size_bytes)
    header.skip(len(MAGIC))
    if header.u32() not in (2, 3):  # 1 counts in 32 bits; a big-endian file has its version in the upper bytes
        raise NotThisFormat("the version is unknown")
    tensor_count = header.u64()
    metadata_count = header.u64()
    if tensor_count > TENSORS_MOST:
        raise NotThisFormat("there are too many tensors")
    alignment = _read_metadata(header, metadata_count)
    table = [_read_tensor(header) for _ in range(tensor_count)]
    data = -(-header.at // alignment) * alignment
    table.sort(key=lambda entry: entry.offset)
    bounds = [entry.offset for entry in table] + [size_bytes - data]
    if bounds[0] != 0:
        raise NotThisFormat("the first tensor is not at the start")
    found = []
    for entry, end in zip(table, bounds[1:], strict=True):
        if entry.offset % alignment or end <= entry.offset:
            raise NotThisFormat("a tensor is not aligned, or has no bytes of its own")
        found.append(entry._replace(offset=data + entry.offset, size=end - entry.offset))
    return in_order(found, size_bytes)


def _read_metadata(header: _Cursor, count: int) -> int:
    """Steps over the metadata; what it says of the tensors' alignment."""
    alignment: int | None = None
    for _ in range(count):
        key = header.string()
        kind = header.u32()
        if key == b"general.alignment":
            if alignment is not None or kind != _U32:
                raise NotThisFormat("the alignment is stated twice, or not as a u32")
            alignment = header.u32()
            if alignment.bit_count() != 1 or not 8 <= alignment <= _ALIGNMENT_MOST:
                raise NotThisFormat("the alignment is no power of two, or out of bounds")
        else:
            _skip_value(header, kind)
    return alignment or 32


def _skip_value(header: _Cursor, kind: int) -> None:
    count = 1
    if kind == _ARRAY:
        kind = header.u32()
        count = header.u64()
    if kind == _STRING:
        header.skip_strings(count)
    elif kind in _VALUE_BYTES:
        header.skip(count * _VALUE_BYTES[kind])
    else:  # an array of arrays too: no reader takes one
        raise NotThisFormat("the metadata has a value of an unknown kind")


def _read_tensor(header: _Cursor) -> Tensor:
    """A row of the table: the offset counts from the data, how long the tensor is cannot be told yet."""
    name = header.string()
    dimensions = header.u32()
    if dimensions > _DIMENSIONS_MOST:
        raise NotThisFormat("a tensor has too many dimensions")
    shape = tuple(header.u64() for _ in range(dimensions))
    kind = header.u32()
    return Tensor(name, header.u64(), 0, _DTYPES.get(kind), kind, shape)


class _Cursor:
    """Reads the header from its start on, no further than its limit, and only as far as it is asked for."""

    def __init__(self, source: RandomAccess, size_bytes: int) -> None:
        self.at = 0
        self._source = source
        self._limit = min(size_bytes, HEADER_BYTES_MOST)
        self._read = b""

    def u32(self) -> int:
        """A number of 32 bits."""
        self.skip(4)
        return int(_u32.unpack_from(self._read, self.at - 4)[0])

    def u64(self) -> int:
        """A number of 64 bits."""
        self.skip(8)
        return int(_u64.unpack_from(self._read, self.at - 8)[0])

    def string(self) -> bytes:
        """A string, as long as the limit allows."""
        length = self.u64()
        self.skip(length)
        return self._read[self.at - length : self.at]

    def skip(self, size: int) -> None:
        """Goes on by so many bytes, which are read thereby."""
        self._reach(self.at + size)
        self.at += size

    def skip_strings(self, count: int) -> None:
        """Goes on by so many strings: ``count`` times a ``u64``, most of the work, without a call for each."""
        at, read = self.at, self._read
        while count:
            if at + 8 > len(read):
                self._reach(at + 8)
                read = self._read
            at += 8 + _u64.unpack_from(read, at)[0]
            count -= 1
        self._reach(at)
        self.at = at

    def _reach(self, end: int) -> None:
        """Has everything before ``end`` read: twice as much each time, so that a long header takes few reads."""
        have = len(self._read)
        if end <= have:
            return
        if end > self._limit:
            raise NotThisFormat("the header is too long")
        wanted = min(max(end, 2 * have, 64 * 1024), self._limit) - have
        self._read += self._source.read_at(have, wanted)
        if len(self._read) < end:
            raise NotThisFormat("the file ends early")
