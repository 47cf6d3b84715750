"""Chunk frames are what protobuf writes; what is read of one is what protobuf reads, whatever the bytes are."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.v1 import transfer_pb2
from weighbridge.wire.chunk_frame import download_frame, read_download, read_upload, upload_frame

Message = transfer_pb2.UploadChunksRequest | transfer_pb2.DownloadChunksResponse
Read = Callable[[bytes], EncodedChunk | Message]

WAYS: dict[str, tuple[type[Any], Callable[[EncodedChunk], bytes], Read]] = {
    "upload": (transfer_pb2.UploadChunksRequest, upload_frame, read_upload),
    "download": (transfer_pb2.DownloadChunksResponse, download_frame, read_download),
}
"""The message of a chunk on its way, what writes it and what reads it."""

EDGES = [1, 2, 127, 128, 129, 16_383, 16_384, 16_385, CHUNK_BYTES - 1, CHUNK_BYTES]
"""Lengths around those from which a varint takes one byte more, and the limits."""

NOISE = os.urandom(CHUNK_BYTES + 1)
DIGEST = bytes(range(32))

LENGTHS = st.sampled_from(EDGES) | st.integers(1, CHUNK_BYTES)
PAYLOADS = st.binary(min_size=1, max_size=300) | LENGTHS.map(lambda length: NOISE[:length])
CHUNKS = st.builds(EncodedChunk, st.binary(min_size=32, max_size=32), LENGTHS, st.sampled_from(Codec), PAYLOADS)


def message_of(kind: type[Any], chunk: EncodedChunk) -> Any:
    """A chunk in the message that protobuf knows."""
    return kind(
        chunk=transfer_pb2.Chunk(
            digest=chunk.digest,
            raw_bytes=chunk.raw_bytes,
            codec=transfer_pb2.Codec.ValueType(chunk.codec),
            payload=bytes(chunk.payload),
        )
    )


def varint(number: int, length: int = 0) -> bytes:
    """As protobuf writes it, or longer: with bytes that add nothing."""
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    groups += [0] * (length - len(groups))
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def field(number: int, value: int | bytes) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def check(way: str, frame: bytes) -> EncodedChunk | None:
    """Reads a frame as we do and as protobuf does: both give the same. Returns the chunk that was read past it."""
    kind, _, read = WAYS[way]
    try:
        expected = kind.FromString(frame)
    except DecodeError:
        with pytest.raises(DecodeError):
            read(frame)
        return None
    found = read(frame)
    if not isinstance(found, EncodedChunk):
        assert type(found) is kind
        assert found == expected
        assert found.SerializeToString() == expected.SerializeToString()  # unknown fields too
        return None
    assert expected == message_of(kind, found)
    assert 1 <= found.raw_bytes <= CHUNK_BYTES
    assert 1 <= len(found.payload) <= CHUNK_BYTES
    assert len(found.digest) == 32
    return found


# -- what is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@given(chunk=CHUNKS)
def test_a_frame_is_what_protobuf_writes(way: str, chunk: EncodedChunk) -> None:
    kind, write, _ = WAYS[way]
    frame = write(chunk)
    assert type(frame) is bytes
    assert frame == message_of(kind, chunk).SerializeToString()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("payload_bytes", EDGES)
def test_a_frame_of_any_length_goes_both_ways(way: str, payload_bytes: int) -> None:
    kind, write, _ = WAYS[way]
    for raw_bytes in EDGES:
        chunk = EncodedChunk(DIGEST, raw_bytes, Codec.ZSTD, NOISE[:payload_bytes])
        assert write(chunk) == message_of(kind, chunk).SerializeToString()
        assert check(way, write(chunk)) == chunk


@pytest.mark.parametrize("way", WAYS)
def test_a_payload_may_be_any_kind_of_buffer(way: str) -> None:
    _, write, read = WAYS[way]
    frames = {
        write(EncodedChunk(DIGEST, 300, Codec.RAW, payload))
        for payload in (
            NOISE[:300],
            bytearray(NOISE[:300]),
            memoryview(NOISE)[:300],
            memoryview(bytearray(NOISE))[:300],
        )
    }
    (frame,) = frames
    assert read(frame) == EncodedChunk(DIGEST, 300, Codec.RAW, NOISE[:300])


# -- what is read --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@given(chunk=CHUNKS)
def test_what_protobuf_writes_is_read_as_the_chunk(way: str, chunk: EncodedChunk) -> None:
    kind, _, _ = WAYS[way]
    found = check(way, message_of(kind, chunk).SerializeToString())
    assert found == chunk
    assert found is not None
    assert isinstance(found.payload, memoryview), "a view, and no copy"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("codec", Codec)
def test_every_codec_of_this_release_is_read(way: str, codec: Codec) -> None:
    chunk = EncodedChunk(DIGEST, 10, codec, b"payload")
    assert check(way, WAYS[way][1](chunk)) == chunk


def _chunk_fields(**changes: int | bytes) -> list[bytes]:
    values: dict[str, int | bytes] = {"digest": DIGEST, "raw_bytes": 300, "codec": 1, "payload": b"payload", **changes}
    return [field(number, value) for number, value in enumerate(values.values(), start=1)]


LEFT_TO_PROTOBUF: dict[str, bytes] = {
    "no fields": b"",
    "the digest alone": _chunk_fields()[0],
    **{
        f"without field {left + 1}": b"".join(f for at, f in enumerate(_chunk_fields()) if at != left)
        for left in range(4)
    },
    "the other way round": b"".join(reversed(_chunk_fields())),
    "the payload first": b"".join(_chunk_fields()[3:] + _chunk_fields()[:3]),
    "a field twice": b"".join([*_chunk_fields(), _chunk_fields()[1]]),
    "the payload twice": b"".join([*_chunk_fields(), _chunk_fields()[3]]),
    "an unknown field at the end": b"".join([*_chunk_fields(), field(15, b"unknown")]),
    "an unknown field at the start": b"".join([field(15, 7), *_chunk_fields()]),
    "an unknown field in the middle": b"".join([*_chunk_fields()[:2], field(9, 7), *_chunk_fields()[2:]]),
    "a digest of 31 bytes": b"".join(_chunk_fields(digest=DIGEST[:31])),
    "a digest of 33 bytes": b"".join(_chunk_fields(digest=DIGEST + b"x")),
    "an empty digest": b"".join(_chunk_fields(digest=b"")),
    "raw bytes of 0": b"".join(_chunk_fields(raw_bytes=0)),
    "raw bytes over the limit": b"".join(_chunk_fields(raw_bytes=CHUNK_BYTES + 1)),
    "raw bytes of 32 bits": b"".join(_chunk_fields(raw_bytes=2**32 - 1)),
    "raw bytes of 64 bits": b"".join(_chunk_fields(raw_bytes=2**64 - 1)),
    "raw bytes that wrap around": b"".join(_chunk_fields(raw_bytes=2**32 + 5)),
    "codec 0": b"".join(_chunk_fields(codec=0)),
    "codec 4": b"".join(_chunk_fields(codec=4)),
    "codec 127": b"".join(_chunk_fields(codec=127)),
    "codec 128": b"".join(_chunk_fields(codec=128)),
    "a negative codec": b"".join(_chunk_fields(codec=2**64 - 1)),
    "an empty payload": b"".join(_chunk_fields(payload=b"")),
    "a payload over the limit": b"".join(_chunk_fields(payload=NOISE)),
    "a codec of another wire type": b"".join([*_chunk_fields()[:2], b"\x1d\1\0\0\0", _chunk_fields()[3]]),
    "a codec in two bytes": b"".join([*_chunk_fields()[:2], b"\x18\x81\x00", _chunk_fields()[3]]),
    "a tag in two bytes": b"".join([*_chunk_fields()[:3], b"\xa2\x00\x07payload"]),
}
"""Chunks that protobuf reads, and we do not."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", LEFT_TO_PROTOBUF)
def test_a_chunk_of_another_form_is_left_to_protobuf(way: str, form: str) -> None:
    kind, _, read = WAYS[way]
    frame = field(kind.CHUNK_FIELD_NUMBER, LEFT_TO_PROTOBUF[form])
    assert check(way, frame) is None
    assert type(read(frame)) is kind, "protobuf reads it: it is no error on the wire"


@pytest.mark.parametrize("way", WAYS)
def test_what_surrounds_the_chunk_is_left_to_protobuf(way: str) -> None:
    kind, write, _ = WAYS[way]
    frame = write(EncodedChunk(DIGEST, 300, Codec.RAW, b"payload"))
    empty = kind.CHUNK_FIELD_NUMBER << 3 | 2
    for around in (
        frame + field(15, b"unknown"),
        field(15, b"unknown") + frame,
        frame + frame,
        frame + bytes([empty, 0]),
        b"",
    ):
        assert check(way, around) is None


@pytest.mark.parametrize("way", WAYS)
def test_a_frame_of_the_other_direction_is_not_taken_for_ones_own(way: str) -> None:
    """And other messages of the same stream are those that they are."""
    for _, write, _ in WAYS.values():
        frame = write(EncodedChunk(DIGEST, 300, Codec.RAW, b"payload"))
        assert (check(way, frame) is not None) == (
            frame == WAYS[way][1](EncodedChunk(DIGEST, 300, Codec.RAW, b"payload"))
        )
    opening = transfer_pb2.UploadChunksRequest(open=transfer_pb2.OpenUpload(upload_id="u" * 40)).SerializeToString()
    assert read_upload(opening) == transfer_pb2.UploadChunksRequest.FromString(opening)


@pytest.mark.parametrize("way", WAYS)
def test_lengths_that_take_more_bytes_than_they_need_mean_the_same(way: str) -> None:
    kind, _, _ = WAYS[way]
    tag = bytes([kind.CHUNK_FIELD_NUMBER << 3 | 2])
    for length in range(1, 12):
        padded = b"".join([*_chunk_fields()[:1], b"\x10", varint(300, length), *_chunk_fields()[2:]])
        check(way, tag + varint(len(padded)) + padded)
        padded = b"".join([*_chunk_fields()[:3], b"\x22", varint(7, length), b"payload"])
        check(way, tag + varint(len(padded)) + padded)
        whole = b"".join(_chunk_fields())
        check(way, tag + varint(len(whole), length) + whole)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("payload_bytes", [1, 127, 128])
def test_a_frame_cut_anywhere_is_what_it_is_to_protobuf(way: str, payload_bytes: int) -> None:
    frame = WAYS[way][1](EncodedChunk(DIGEST, 300, Codec.RAW, NOISE[:payload_bytes]))
    for end in range(len(frame)):
        assert check(way, frame[:end]) is None
        assert check(way, frame[:end] + b"\0") is None or end == len(frame) - 1


@pytest.mark.parametrize("way", WAYS)
def test_a_frame_with_any_byte_changed_is_what_it_is_to_protobuf(way: str) -> None:
    """Every value of every byte of the head."""
    frame = WAYS[way][1](EncodedChunk(DIGEST, 300, Codec.RAW, NOISE[:200]))
    for at in (*range(4), *range(36, 48), len(frame) - 1):
        for value in range(256):
            check(way, frame[:at] + bytes([value]) + frame[at + 1 :])


PARTS = st.one_of(
    st.builds(field, st.integers(1, 16), st.integers(0, 2**64 - 1) | st.binary(max_size=40)),
    st.sampled_from([1, 2, 3, 4]).flatmap(lambda number: st.just(_chunk_fields()[number - 1])),
    st.binary(max_size=8),
)


@pytest.mark.parametrize("way", WAYS)
@given(parts=st.lists(PARTS, max_size=6), tag=st.sampled_from([None, 1, 2, 3]))
def test_whatever_is_put_together_is_what_it_is_to_protobuf(way: str, parts: list[bytes], tag: int | None) -> None:
    raw = b"".join(parts)
    check(way, raw if tag is None else field(tag, raw))


@pytest.mark.parametrize("way", WAYS)
@given(
    chunk=CHUNKS.filter(lambda chunk: len(chunk.payload) <= 300),
    cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3),
)
def test_a_frame_that_was_cut_and_mended_is_what_it_is_to_protobuf(
    way: str, chunk: EncodedChunk, cuts: list[tuple[int, int, bytes]]
) -> None:
    frame = WAYS[way][1](chunk)
    for at, removed, put in cuts:
        frame = frame[:at] + put + frame[at + removed :]
    check(way, frame)
