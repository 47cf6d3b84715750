"""The array of a ``.npy`` file: ``magic | version | length of the header | header | elements``.

Source: the NumPy enhancement proposal 1, "A Simple File Format for NumPy Arrays", and ``numpy.lib.format``.

The header is a Python literal. It is never evaluated. For cuts its length says where the elements begin, and the kind
of elements, a hint only, is looked for as text; whoever loads the array has it read member by member.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from weighbridge.core.chunking.random_access import RandomAccess, read_exactly
from weighbridge.core.chunking.tensors import NotThisFormat, Tensor, in_order

MAGIC = b"\x93NUMPY"

HEADER_BYTES_MOST = 65_535
"""Longest header: what version 1 can say. Versions 2 and 3 write longer ones for records of thousands of fields."""

_DESCR = re.compile(rb"\{'descr': '([<|][a-z][0-9])',")
_DIMENSION = rb"[0-9]{1,18}"
_SHAPE = rb"\((?: *" + _DIMENSION + rb",)*+(?: *" + _DIMENSION + rb")?\)"
_MEMBER = re.compile(rb" *'(descr|fortran_order|shape)' *: *('[ -&(-~]{0,64}'|True|False|" + _SHAPE + rb") *,? *")
_DIGITS = re.compile(rb"[0-9]+")
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
    start, length = _find_header(source, offset, size_bytes)
    skipped = start + length
    descr = _DESCR.match(read_exactly(source, offset + start, min(length, 64)))
    dtype = _DTYPES.get(descr[1]) if descr else None
    return Tensor(name, offset + skipped, size_bytes - skipped, dtype)


class Header(NamedTuple):
    """What a file says of its array, unchecked, and where the elements are."""

    descr: str
    """The elements' type, as numpy writes it: ``<f4``."""
    fortran_order: bool
    """The first dimension is the fastest."""
    shape: tuple[int, ...]
    offset: int
    size: int


def read_header(source: RandomAccess, offset: int, size_bytes: int) -> Header:
    """The header of the array whose file is the ``size_bytes`` from ``offset``.

    Raises:
        NotThisFormat: there is none, or one that numpy does not write.
    """
    start, length = _find_header(source, offset, size_bytes)
    text = read_exactly(source, offset + start, length).rstrip()
    if text[:1] != b"{" or text[-1:] != b"}":
        raise NotThisFormat("the array's header is broken")
    members: dict[bytes, bytes] = {}
    at = 1
    while match := _MEMBER.match(text, at):
        members[match[1]] = match[2]
        at = match.end()
    if text[at:].strip() != b"}" or members.keys() != {b"descr", b"fortran_order", b"shape"}:
        raise NotThisFormat("the array's header is not one of a plain array")
    descr, order, shape = members[b"descr"], members[b"fortran_order"], members[b"shape"]
    if descr[:1] != b"'" or order not in (b"True", b"False") or shape[:1] != b"(":
        raise NotThisFormat("the array's header is broken")
    return Header(
        descr=descr[1:-1].decode("ascii"),
        fortran_order=order == b"True",
        shape=tuple(int(digits) for digits in _DIGITS.findall(shape)),
        offset=offset + start + length,
        size=size_bytes - start - length,
    )


def _find_header(source: RandomAccess, offset: int, size_bytes: int) -> tuple[int, int]:
    """Where the header begins, counted from ``offset``, and how long it is."""
    head = source.read_at(offset, min(size_bytes, 12)).ljust(12, b"\0")
    if not head.startswith(MAGIC):
        raise NotThisFormat("it is not an array")
    match head[6]:
        case 1:
            length, start = struct.unpack_from("<H", head, 8)[0], 10
        case 2 | 3:
            length, start = struct.unpack_from("<I", head, 8)[0], 12
        case _:
            raise NotThisFormat("the array is of an unknown version")
    if length > HEADER_BYTES_MOST or start + length > size_bytes:
        raise NotThisFormat("the array's header is too long")
    return start, length
