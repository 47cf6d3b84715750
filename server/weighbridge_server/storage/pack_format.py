"""The bytes of a pack: the same on a disk and in an object store. All integers are little-endian.

A pack is a 32-byte header, records, and a footer that indexes them, so that the chunk table can be
rebuilt from packs alone. ``protos/SPEC.md`` has the layout; this module is its only reader and writer.

    header   "WBPACK\\r\\n" | u32 version 1 | 4 zero bytes | 16 bytes pack id (UUIDv7)
    record   "WBCK" | u8 version 1 | u8 codec | u16 zero | u32 raw length | u32 encoded length
             | 32 bytes digest | 32 bytes base digest (zero: none) | u32 CRC32C | payload
    footer   entry* | trailer
    entry    u64 offset of the record | u32 raw length | u32 encoded length | u8 codec | 7 zero bytes
             | 32 bytes digest
    trailer  u64 offset of the footer | u32 number of entries | u32 CRC32C of the entries | "WBPKEND\\n"

A record's CRC32C covers its header before the CRC, then the payload.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from crc32c import crc32c

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.digest import SIZE_BYTES, Digest

_PACK_MAGIC = b"WBPACK\r\n"
_PACK_VERSION = 1
_PACK_HEADER = struct.Struct("<8sI4x16s")

_RECORD_MAGIC = b"WBCK"
_RECORD_VERSION = 1
_RECORD_HEADER = struct.Struct("<4sBB2xII32s32s")
_CRC = struct.Struct("<I")
_NO_BASE = bytes(SIZE_BYTES)

_ENTRY = struct.Struct("<QIIB7x32s")
_TRAILER_MAGIC = b"WBPKEND\n"
_TRAILER = struct.Struct("<QII8s")

PACK_HEADER_BYTES = _PACK_HEADER.size
RECORD_HEADER_BYTES = _RECORD_HEADER.size + _CRC.size


class Damaged(Exception):
    """Bytes of a pack are not what was written."""


@dataclass(frozen=True, slots=True)
class PackEntry:
    """Where a record begins within its pack, and what it holds."""

    digest: Digest
    offset: int
    raw_bytes: int
    encoded_bytes: int
    codec: Codec

    @property
    def record_bytes(self) -> int:
        """The length of the whole record, header included."""
        return RECORD_HEADER_BYTES + self.encoded_bytes


def pack_header(pack_id: UUID) -> bytes:
    """What a pack begins with."""
    return _PACK_HEADER.pack(_PACK_MAGIC, _PACK_VERSION, pack_id.bytes)


def record_header(chunk: EncodedChunk) -> bytes:
    """What goes before a chunk's payload."""
    head = _RECORD_HEADER.pack(
        _RECORD_MAGIC,
        _RECORD_VERSION,
        chunk.codec,
        chunk.raw_bytes,
        len(chunk.payload),
        chunk.digest,
        _NO_BASE,
    )
    return head + _CRC.pack(crc32c(chunk.payload, crc32c(head)))


def read_record(record: bytes, entry: PackEntry) -> EncodedChunk:
    """The chunk of a record that was read from where ``entry`` says; its payload is a view of ``record``.

    Raises:
        Damaged: a byte of it differs from what was written, or it is another record.
    """
    if len(record) != entry.record_bytes:
        raise Damaged(f"the pack ends within the record at offset {entry.offset}")
    view = memoryview(record)
    payload = view[RECORD_HEADER_BYTES:]
    (stored_crc,) = _CRC.unpack_from(record, _RECORD_HEADER.size)
    if crc32c(payload, crc32c(view[: _RECORD_HEADER.size])) != stored_crc:
        raise Damaged(f"the record at offset {entry.offset} does not have its checksum")
    magic, version, codec, raw_bytes, encoded_bytes, digest, base = _RECORD_HEADER.unpack_from(record)
    expected = (
        _RECORD_MAGIC,
        _RECORD_VERSION,
        entry.codec,
        entry.raw_bytes,
        entry.encoded_bytes,
        entry.digest,
    )
    if (magic, version, codec, raw_bytes, encoded_bytes, digest) != expected or base != _NO_BASE:
        raise Damaged(f"the record at offset {entry.offset} is another than the catalogue says")
    return EncodedChunk(entry.digest, entry.raw_bytes, entry.codec, payload)


def pack_footer(entries: Iterable[PackEntry], offset: int) -> bytes:
    """What a pack ends with; ``offset`` is where it begins."""
    packed = [
        _ENTRY.pack(entry.offset, entry.raw_bytes, entry.encoded_bytes, entry.codec, entry.digest) for entry in entries
    ]
    body = b"".join(packed)
    return body + _TRAILER.pack(offset, len(packed), crc32c(body), _TRAILER_MAGIC)


def read_pack_index(pack: bytes | memoryview) -> tuple[UUID, list[PackEntry]]:
    """The id and the entries of a whole pack, from its header and footer.

    Raises:
        Damaged: they are not what was written, or the pack was never sealed.
    """
    size = len(pack)
    if size < PACK_HEADER_BYTES + _TRAILER.size:
        raise Damaged(f"{size} bytes are too few for a pack")
    magic, version, pack_id = _PACK_HEADER.unpack_from(pack)
    if (magic, version) != (_PACK_MAGIC, _PACK_VERSION):
        raise Damaged("it does not begin as a pack of version 1")
    footer, count, stored_crc, end = _TRAILER.unpack_from(pack, size - _TRAILER.size)
    if end != _TRAILER_MAGIC:
        raise Damaged("it does not end as a sealed pack")
    if footer < PACK_HEADER_BYTES or footer + count * _ENTRY.size + _TRAILER.size != size:
        raise Damaged("its footer is not where its trailer says")
    body = bytes(pack[footer : size - _TRAILER.size])
    if crc32c(body) != stored_crc:
        raise Damaged("its footer does not have its checksum")
    try:
        entries = [
            PackEntry(digest, offset, raw_bytes, encoded_bytes, Codec(codec))
            for offset, raw_bytes, encoded_bytes, codec, digest in _ENTRY.iter_unpack(body)
        ]
    except ValueError as fault:
        raise Damaged(f"it was written by a later release: {fault}") from fault
    return UUID(bytes=pack_id), entries
