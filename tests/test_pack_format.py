"""A pack gives back what was written into it; a byte that changed is noticed."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.codec import encode_chunk
from weighbridge.core.digest import chunk_digest
from weighbridge_server.storage.pack_format import (
    PACK_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    Damaged,
    PackEntry,
    pack_footer,
    pack_header,
    read_pack_index,
    read_record,
    record_header,
)

PACK_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
TRAILER_BYTES = 24
CHUNKS = st.binary(min_size=1, max_size=300).map(lambda raw: encode_chunk(raw, chunk_digest(raw)))


def packed(chunks: Sequence[EncodedChunk]) -> tuple[bytes, list[PackEntry]]:
    """A sealed pack and where its records are."""
    pack = pack_header(PACK_ID)
    entries = []
    for chunk in chunks:
        entries.append(PackEntry(chunk.digest, len(pack), chunk.raw_bytes, len(chunk.payload), chunk.codec))
        pack += record_header(chunk) + chunk.payload
    return pack + pack_footer(entries, len(pack)), entries


PACK, ENTRIES = packed([encode_chunk(raw, chunk_digest(raw)) for raw in (b"one", b"two" * 100, b"three")])
ENTRY = ENTRIES[1]
RECORD = PACK[ENTRY.offset : ENTRY.offset + ENTRY.record_bytes]
FOOTER = ENTRIES[-1].offset + ENTRIES[-1].record_bytes


def flipped(data: bytes, place: int, bits: int) -> bytes:
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


@given(st.lists(CHUNKS, max_size=5))
def test_what_goes_in_comes_out(chunks: list[EncodedChunk]) -> None:
    pack, entries = packed(chunks)
    assert read_pack_index(pack) == read_pack_index(memoryview(pack)) == (PACK_ID, entries)
    assert [read_record(pack[item.offset :][: item.record_bytes], item) for item in entries] == chunks


@given(st.integers(0, len(RECORD) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_record_is_found(place: int, bits: int) -> None:
    assert read_record(RECORD, ENTRY).digest == ENTRY.digest
    with pytest.raises(Damaged, match=str(ENTRY.offset)):
        read_record(flipped(RECORD, place, bits), ENTRY)


@pytest.mark.parametrize("size", [0, 1, RECORD_HEADER_BYTES - 1, RECORD_HEADER_BYTES, len(RECORD) - 1])
def test_a_record_that_was_cut_off_is_found(size: int) -> None:
    with pytest.raises(Damaged, match="ends within"):
        read_record(RECORD[:size], ENTRY)


@pytest.mark.parametrize(
    "other",
    [
        replace(ENTRY, digest=bytes(32)),
        replace(ENTRY, raw_bytes=ENTRY.raw_bytes + 1),
        replace(ENTRY, codec=Codec.RAW),
    ],
    ids=["digest", "length", "codec"],
)
def test_a_whole_record_of_another_chunk_is_refused(other: PackEntry) -> None:
    with pytest.raises(Damaged, match="another than"):
        read_record(RECORD, other)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, b"WBCX"), (4, b"\2"), (48, b"\1" * 32)],
    ids=["magic", "version", "base digest"],
)
def test_a_record_of_a_later_format_is_refused_though_its_checksum_is_right(offset: int, value: bytes) -> None:
    head = RECORD[:offset] + value + RECORD[offset + len(value) : RECORD_HEADER_BYTES - 4]
    payload = RECORD[RECORD_HEADER_BYTES:]
    with pytest.raises(Damaged, match="another than"):
        read_record(head + struct.pack("<I", crc32c(payload, crc32c(head))) + payload, ENTRY)


@given(st.integers(FOOTER, len(PACK) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_footer_is_found(place: int, bits: int) -> None:
    with pytest.raises(Damaged):
        read_pack_index(flipped(PACK, place, bits))


@given(st.integers(0, 11), st.integers(1, 255))
def test_what_does_not_begin_as_a_pack_is_refused(place: int, bits: int) -> None:
    with pytest.raises(Damaged, match="begin"):
        read_pack_index(flipped(PACK, place, bits))


@given(st.integers(0, len(PACK) - 1))
def test_a_pack_that_was_cut_off_or_never_sealed_is_refused(size: int) -> None:
    with pytest.raises(Damaged):
        read_pack_index(PACK[:size])


def test_an_empty_pack_has_its_footer_where_it_says() -> None:
    pack, _ = packed([])
    assert read_pack_index(pack) == (PACK_ID, [])
    for place in range(PACK_HEADER_BYTES, PACK_HEADER_BYTES + 12):
        with pytest.raises(Damaged, match="footer"):
            read_pack_index(flipped(pack, place, 1))


def test_a_codec_of_a_later_release_is_damage_to_this_one() -> None:
    entry = struct.pack("<QIIB7x32s", 32, 1, 1, 99, bytes(32))
    pack = pack_header(PACK_ID) + entry + struct.pack("<QII8s", 32, 1, crc32c(entry), b"WBPKEND\n")
    with pytest.raises(Damaged, match="later release"):
        read_pack_index(pack)
