"""Tensors of a safetensors file: ``u64 length | JSON header | the tensors, without a hole``.

Source: "Format", https://github.com/huggingface/safetensors, and what its Rust reader accepts. This reader is
stricter where JSON libraries differ from one another, since each of them must come to the same cuts.

The header is read one tensor at a time with a cursor, not as one JSON value: a library would build whatever a
hostile header spells, at twenty times its size, and would meet deep nesting with a limit of its own.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator

from weighbridge.core.chunking.random_access import RandomAccess, read_exactly
from weighbridge.core.chunking.tensors import NotThisFormat, Tensor, checked

MAGIC = b"{"
"""At byte 8. What comes before is the header's length."""

HEADER_BYTES_MOST = 16 * 1024 * 1024
"""Longest header that is read: some 150,000 tensors. The reference reader stops at 100 MB."""

_DTYPES = {
    "F64": "f64",
    "F32": "f32",
    "F16": "f16",
    "BF16": "bf16",
    "F8_E4M3": "f8",
    "F8_E5M2": "f8",
    "F8_E8M0": "f8",
    "I64": "i64",
    "I32": "i32",
    "I16": "i16",
    "I8": "i8",
    "U64": "u64",
    "U32": "u32",
    "U16": "u16",
    "U8": "u8",
    "BOOL": "bool",
}


def tensors(source: RandomAccess, size_bytes: int) -> list[Tensor]:
    """The tensors of a safetensors file that have bytes, as they lie in it.

    Raises:
        NotThisFormat: it is none.
    """
    return [tensor for tensor in table(source, size_bytes) if tensor.size]


def table(source: RandomAccess, size_bytes: int) -> list[Tensor]:
    """All tensors of a safetensors file, those without bytes too, in the order of their offsets.

    Raises:
        NotThisFormat: it is none.
    """
    length = struct.unpack("<Q", read_exactly(source, 0, 8))[0]
    if length > HEADER_BYTES_MOST or 8 + length > size_bytes:
        raise NotThisFormat("the header is too long")
    try:
        text = read_exactly(source, 8, length).decode()
    except UnicodeDecodeError as fault:
        raise NotThisFormat("the header is not UTF-8") from fault
    found = checked(_read_header(_Cursor(text), 8 + length), size_bytes)
    # None overlaps and none lies outside: together as long as the data, they leave no hole.
    if 8 + length + sum(tensor.size for tensor in found) != size_bytes:
        raise NotThisFormat("there is a hole, or something behind the tensors")
    return found


def _read_header(header: _Cursor, data: int) -> Iterator[Tensor]:
    """The tensors in the header's order; ``data`` is where their bytes begin."""
    has_metadata = False
    for name in header.members():
        if name == "__metadata__":
            if has_metadata:
                raise NotThisFormat("there is metadata twice")
            has_metadata = True
            for _ in header.members():
                header.string()
        else:
            yield _read_tensor(header, name, data)
    header.end()


def _read_tensor(header: _Cursor, name: str, data: int) -> Tensor:
    seen: list[str] = []
    dtype = ""
    shape: list[int] = []
    offsets: list[int] = []
    for key in header.members():
        if key in seen:
            raise NotThisFormat("a member of a tensor is there twice")
        seen.append(key)
        match key:
            case "dtype":
                dtype = header.string()
            case "shape":
                shape = header.integers()
            case "data_offsets":
                offsets = header.integers()
            case _:
                raise NotThisFormat("a tensor has an unknown member")
    if len(seen) != 3 or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise NotThisFormat("a tensor lacks a member, or its offsets")
    begin, end = offsets
    return Tensor(name.encode(), data + begin, end - begin, _DTYPES.get(dtype), dtype, tuple(shape))


_SPACE = r"[ \t\n\r]*+"
# 18 digits: whoever reads them into 64 bits, signed or not, reads the same number.
_INTEGER = r"(?:0|[1-9][0-9]{0,17})"
_SPACES = re.compile(_SPACE)
_DIGITS = re.compile(r"[0-9]+")
# 64: the dimensions of a tensor, and no more than a few backtracking points.
_INTEGERS = re.compile(rf"\[{_SPACE}(?:{_INTEGER}(?:{_SPACE},{_SPACE}{_INTEGER}){{0,63}}+{_SPACE})?\]")
_JSON = json.JSONDecoder()


class _Cursor:
    """Reads the few kinds of JSON (RFC 8259) that a header consists of, one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def members(self) -> Iterator[str]:
        """The names of an object's members; between two of them, whoever asks for them reads the member's value."""
        self._take("{")
        if self._next() == "}":
            self._at += 1
            return
        while True:
            name = self.string()
            self._take(":")
            yield name
            if self._take(",}") == "}":
                return

    def string(self) -> str:
        """A string; one that has no UTF-8 is refused."""
        if self._next() != '"':
            raise NotThisFormat("the header has something else where a string is due")
        try:
            value, self._at = _JSON.raw_decode(self._text, self._at)
            text = str(value)
            text.encode()
        except ValueError as fault:  # a string without an end or with a wrong escape; half of a surrogate pair
            raise NotThisFormat("a string of the header is broken") from fault
        return text

    def integers(self) -> list[int]:
        """An array of at most 64 integers, none negative, of at most 18 digits."""
        self._next()
        match = _INTEGERS.match(self._text, self._at)
        if match is None:
            raise NotThisFormat("the header has something else where integers are due")
        self._at = match.end()
        return [int(digits) for digits in _DIGITS.findall(match[0])]

    def end(self) -> None:
        """Nothing but spaces may be left."""
        if self._next():
            raise NotThisFormat("the header goes on behind its object")

    def _next(self) -> str:
        """The next character that is no space, which stays to be read; empty at the end."""
        spaces = _SPACES.match(self._text, self._at)
        self._at = spaces.end() if spaces else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, expected: str) -> str:
        found = self._next()
        if not found or found not in expected:
            raise NotThisFormat("the header is not the JSON it should be")
        self._at += 1
        return found
