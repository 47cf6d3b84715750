"""Stored entries of a zip archive: PyTorch checkpoints (``data/0``, ``data/1``, ...) and ``.npz`` files of arrays.

Source: .ZIP File Format Specification 6.3.10 (PKWARE APPNOTE.TXT), sections 4.3 and 4.5.3; ``torch.save`` and
``numpy.savez`` for what those archives look like: one disk, no comment, entries from byte 0 on.

Nothing is decompressed and no pickle is looked into. The directory at the end is believed only where the headers in
front of the entries say the same, and where no two entries share a byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from weighbridge.core.chunking import npy
from weighbridge.core.chunking.random_access import RandomAccess, read_exactly
from weighbridge.core.chunking.tensors import TENSORS_MOST, NotThisFormat, Tensor, in_order

MAGIC = b"PK\x03\x04"

DIRECTORY_BYTES_MOST = 16 * 1024 * 1024
"""Longest directory that is read."""

_STORED = 0
_ENCRYPTED = 1
_U16_MOST = 0xFFFF
_U32_MOST = 0xFFFFFFFF

_LOCAL = struct.Struct("<4s5HIIIHH")
HEADER_BYTES = _LOCAL.size
"""Of a header in front of an entry; its name and an extra field, of any length, come behind it."""

_DIRECTORY_ENTRY = struct.Struct("<4s6HIIIHHHHHII")
_END = struct.Struct("<4s4HIIH")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQHHIIQQQQ")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the directory has it."""

    name: bytes
    header: int
    """Where its header begins; its bytes come behind that."""
    size: int
    """As it lies in the archive."""
    stored: bool
    """Neither compressed nor encrypted."""


@dataclass(frozen=True, slots=True)
class Directory:
    """What is in an archive."""

    entries: list[Entry]
    """In the order of their headers."""
    begin: int
    """Where it begins; every entry lies before it."""


def tensors(source: RandomAccess, size_bytes: int) -> list[Tensor]:
    """The stored entries as they lie in the file; of one that is a ``.npy`` file, its elements.

    Raises:
        NotThisFormat: it is no archive, or not one of this kind.
    """
    directory = read_directory(source, size_bytes)
    located = locate(source, directory.entries, directory.begin)
    return in_order((_as_tensor(source, entry, begin) for entry, begin in located), size_bytes)


def read_directory(source: RandomAccess, size_bytes: int) -> Directory:
    """The directory of an archive, before the headers in front of the entries are compared with it.

    Raises:
        NotThisFormat: it is no archive, or not one of this kind.
    """
    count, begin, end = _find_directory(source, size_bytes)
    if count > TENSORS_MOST or end - begin > DIRECTORY_BYTES_MOST:
        raise NotThisFormat("the directory is too long")
    entries = _read_entries(read_exactly(source, begin, end - begin), count)
    return Directory(sorted(entries, key=lambda entry: entry.header), begin)


def locate(source: RandomAccess, entries: Iterable[Entry], directory: int) -> Iterator[tuple[Entry, int]]:
    """Where the bytes of entries begin, once the headers in front of them agree.

    Args:
        source: the archive.
        entries: some of its entries, in the order of their headers.
        directory: where the directory begins.

    Raises:
        NotThisFormat: they do not agree, two entries overlap, or one reaches into the directory.
    """
    free = 0
    for entry in entries:
        if entry.header < free or entry.header + HEADER_BYTES > directory:
            raise NotThisFormat("two entries overlap, or one lies in the directory")
        head = read_exactly(source, entry.header, HEADER_BYTES)
        magic, *_, name_length, extra_length = _LOCAL.unpack(head)
        if magic != MAGIC or name_length != len(entry.name):
            raise NotThisFormat("an entry is not where the directory says")
        if read_exactly(source, entry.header + HEADER_BYTES, name_length) != entry.name:
            raise NotThisFormat("an entry has two names")
        begin = entry.header + HEADER_BYTES + name_length + extra_length
        free = begin + entry.size
        if free > directory:
            raise NotThisFormat("an entry reaches into the directory")
        yield entry, begin


def _find_directory(source: RandomAccess, size_bytes: int) -> tuple[int, int, int]:
    """How many entries the directory has, where it begins and where it ends: right before the end records."""
    end = size_bytes - _END.size
    if end < 0:
        raise NotThisFormat("the file is too short")
    magic, disk, first_disk, count_here, count, size, begin, comment = _END.unpack(read_exactly(source, end, _END.size))
    if magic != b"PK\x05\x06" or comment or disk or first_disk or count_here != count:
        raise NotThisFormat("the archive does not end as it should")
    locator = end - _LOCATOR_64.size
    if locator >= 0 and source.read_at(locator, 4) == b"PK\x06\x07":
        end = locator - _END_64.size
        if end < 0:
            raise NotThisFormat("the archive's second end is missing")
        _, disk, stated, _ = _LOCATOR_64.unpack(read_exactly(source, locator, _LOCATOR_64.size))
        magic, rest, _, _, disk_64, first_disk, count_here, count_64, size_64, begin_64 = _END_64.unpack(
            read_exactly(source, end, _END_64.size)
        )
        if magic != b"PK\x06\x06" or stated != end or rest != _END_64.size - 12:
            raise NotThisFormat("the archive's second end is not where it should be")
        if disk or disk_64 or first_disk or count_here != count_64:
            raise NotThisFormat("the archive is in several parts")
        # Two readers that trust one end each must not see two archives.
        if count not in (count_64, _U16_MOST) or size not in (size_64, _U32_MOST) or begin not in (begin_64, _U32_MOST):
            raise NotThisFormat("the archive's two ends contradict each other")
        count, size, begin = count_64, size_64, begin_64
    if begin + size != end:
        raise NotThisFormat("the directory is not where it should be")
    return count, begin, end


def _read_entries(directory: bytes, count: int) -> Iterator[Entry]:
    at = 0
    for _ in range(count):
        if at + _DIRECTORY_ENTRY.size > len(directory):
            raise NotThisFormat("the directory ends early")
        (
            magic, _, _, flags, method, _, _, _, stored_size, size, name_length, extra_length, comment_length,
            disk, _, _, header,
        ) = _DIRECTORY_ENTRY.unpack_from(directory, at)  # fmt: skip
        at += _DIRECTORY_ENTRY.size
        name = directory[at : at + name_length]
        at += name_length
        extra = directory[at : at + extra_length]
        at += extra_length + comment_length
        if magic != b"PK\x01\x02" or at > len(directory):
            raise NotThisFormat("the directory is broken")
        # What does not fit into 32 bits stands in the extra field, in this order.
        large = iter(_large_values(extra))
        try:
            size = next(large) if size == _U32_MOST else size
            stored_size = next(large) if stored_size == _U32_MOST else stored_size
            header = next(large) if header == _U32_MOST else header
        except StopIteration:
            raise NotThisFormat("a large number is missing") from None
        stored = method == _STORED and not flags & _ENCRYPTED
        if disk or (stored and size != stored_size):
            raise NotThisFormat("an entry is elsewhere, or has two sizes")
        yield Entry(name, header, stored_size, stored)
    if at != len(directory):
        raise NotThisFormat("the directory goes on behind its last entry")


def _large_values(extra: bytes) -> tuple[int, ...]:
    """The numbers of the first zip64 field, at most three."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        at += 4
        if kind == 1 and at + length <= len(extra):
            return struct.unpack_from(f"<{min(length // 8, 3)}Q", extra, at)
        at += length
    return ()


def _as_tensor(source: RandomAccess, entry: Entry, begin: int) -> Tensor:
    if not entry.stored:
        return Tensor(entry.name, begin, 0)  # cut with what lies between the others; the name still counts
    try:
        return npy.array(source, entry.name, begin, entry.size)
    except NotThisFormat:
        return Tensor(entry.name, begin, entry.size)
