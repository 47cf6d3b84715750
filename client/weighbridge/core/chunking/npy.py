"""The array of a ``.npy`` file: ``magic | version | length of the header | header | elements``.

Source: the NumPy enhancement proposal 1, "A Simple File Format for NumPy Arrays", and ``numpy.lib.format``.

The header is a Python literal. It is never evaluated: its length says where the elements begin, and the kind of
elements, a hint only, is looked for as text.
"""

from __future__ import annotations

import re
import struct

from weighbridge.core.chunking.random_access import RandomAccess, read_exactly
from weighbridge.core.chunking.tensors import NotThisFormat, Tensor, in_order

MAGIC = b"\x93NUMPY"

HEADER_BYTES_MOST = 65_535
"""Longest header: what version 1 can say. Versions 2 and 3 write longer ones for records of thousands of fields."""

_DESCR = re.compile(rb"\{'descr': '([<|][a-z][0-9])',")
_DTYPES = {
    b"<f2": "f16",
    b"<f4": "f32",
    b"<f8": "f64",  # bytes, here
    b"|i1": "i8",
    b"<i2": "i16",
    b"<i4": "i32",
    b"<i8": "i64",
    b"|u1": "u8",
    b"<u2": "u16",
    b"<u4": "u32",
    b"<u8": "u64",
    b"|b1": "bool",
}


def tensors(source: RandomAccess, size_bytes: int) -> list[Tensor]:
    """The one array of a file, without a name.

    Raises:
        NotThisFormat: the file is none.
    """
    return in_order([array(source, b"", 0, size_bytes)], size_bytes)


def array(source: RandomAccess, name: bytes, offset: int, size_bytes: int) -> Tensor:
    """The array whose file is the ``size_bytes`` from ``offset``: its elements, without their header.

    Raises:
        NotThisFormat: there is none.
    """
    head = source.read_at(offset, min(size_bytes, 12)).ljust(12, b"\0")
    if not head.startswith(MAGIC):
        raise NotThisFormat("it is not an array")
    match head[6]:
        case 1:
            length, header = struct.unpack_from("<H", head, 8)[0], 10
        case 2 | 3:
            length, header = struct.unpack_from("<I", head, 8)[0], 12
        case _:
            raise NotThisFormat("the array is of an unknown version")
    skipped = header + length
    if length > HEADER_BYTES_MOST or skipped > size_bytes:
        raise NotThisFormat("the array's header is too long")
    descr = _DESCR.match(read_exactly(source, offset + header, min(length, 64)))
    dtype = _DTYPES.get(descr[1]) if descr else None
    return Tensor(name, offset + skipped, size_bytes - skipped, dtype)
