"""What a codec takes in comes out again, and a payload that is not what it says gives nothing."""

from __future__ import annotations

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.codec import encode_chunk, open_chunk
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.core.errors import ChunkMismatch
from weighbridge.core.limits import CHUNK_BYTES

SIZES = {
    "the smallest chunk": 1,
    "below the size that pays for a zstd header": 16,
    "the largest content size that a frame states in one byte": 255,
    "the first that takes two bytes": 256,
    "the last that takes two bytes, and one BLAKE3 tree of several chunks": 65535 + 256,
    "the first that takes four bytes": 65536 + 256,
    "one zstd block": 128 * 1024,
    "one zstd block and a byte": 128 * 1024 + 1,
    "the largest chunk but one": CHUNK_BYTES - 1,
    "the largest chunk": CHUNK_BYTES,
}


def chunk_of(raw: bytes, payload: bytes, codec: Codec = Codec.ZSTD) -> EncodedChunk:
    """A chunk that says it holds ``raw``."""
    return EncodedChunk(chunk_digest(raw), len(raw), codec, payload)


def refused(chunk: EncodedChunk) -> str:
    """Why a chunk is refused; the refusal names it."""
    with pytest.raises(ChunkMismatch) as fault:
        open_chunk(chunk)
    assert fault.value.details == {"digest": format_digest(chunk.digest)}
    return fault.value.message


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("kind", ["random", "zeros", "text"])
def test_what_goes_in_comes_out(size: int, kind: str) -> None:
    raw = {"random": os.urandom(size), "zeros": bytes(size), "text": (b"0.25 " * (size // 5 + 1))[:size]}[kind]
    chunk = encode_chunk(raw, chunk_digest(raw))
    assert open_chunk(chunk) == raw
    assert len(chunk.payload) <= len(raw) == chunk.raw_bytes
    if size >= 256:
        assert chunk.codec is (Codec.RAW if kind == "random" else Codec.ZSTD)


@given(st.binary(min_size=1, max_size=4096), st.integers(1, 300))
def test_any_bytes_come_out_again(unit: bytes, times: int) -> None:
    raw = unit * times
    assert open_chunk(encode_chunk(raw, chunk_digest(raw))) == raw


def test_a_chunk_of_another_digest_is_refused() -> None:
    raw = b"weights" * 100
    wrong = replace(encode_chunk(raw, chunk_digest(raw)), digest=chunk_digest(b"other"))
    assert format_digest(chunk_digest(raw)) in refused(wrong)


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_no_changed_payload_gives_other_bytes(raw: bytes, data: st.DataObject) -> None:
    chunk = encode_chunk(raw, chunk_digest(raw))
    changed = bytearray(chunk.payload)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ChunkMismatch):  # a bit that the format leaves free may change; the bytes may not
        assert open_chunk(replace(chunk, payload=bytes(changed))) == raw


@given(st.binary(min_size=300, max_size=2000), st.integers(1, 10_000))
def test_a_cut_frame_is_refused(unit: bytes, cut: int) -> None:
    raw = unit * 4
    frame = zstandard.compress(raw)
    refused(chunk_of(raw, frame[: -(cut % (len(frame) - 1) + 1)]))


@pytest.mark.parametrize("raw_bytes", [0, 6, 8, CHUNK_BYTES + 1, 2**32 - 1])
@pytest.mark.parametrize("codec", list(Codec))
def test_another_length_is_refused(raw_bytes: int, codec: Codec) -> None:
    payload = b"weights" if codec is Codec.RAW else zstandard.compress(b"weights")
    refused(EncodedChunk(chunk_digest(b"weights"), raw_bytes, codec, payload))


def test_an_empty_payload_is_refused() -> None:
    for codec in Codec:
        assert "empty" in refused(EncodedChunk(chunk_digest(b""), 1, codec, b""))


def test_a_payload_longer_than_its_raw_bytes_is_refused() -> None:
    raw = os.urandom(1000)
    assert "longer than its raw bytes" in refused(chunk_of(raw, zstandard.compress(raw)))


def test_two_frames_are_refused() -> None:
    half = bytes(1000)
    assert "another size" in refused(chunk_of(half * 2, zstandard.compress(half) * 2))
    refused(chunk_of(half, zstandard.compress(half) * 2))


def test_bytes_after_the_frame_are_refused() -> None:
    raw = bytes(1000)
    refused(chunk_of(raw, zstandard.compress(raw) + b"\0"))


def test_an_unknown_codec_is_refused() -> None:
    raw = bytes(1000)
    assert "codec 3" in refused(chunk_of(raw, raw, codec=3))  # type: ignore[arg-type]


def test_a_frame_for_a_dictionary_is_refused() -> None:
    raw = b"layer.weight " * 50
    dictionary = zstandard.ZstdCompressionDict(raw * 4, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    frame = zstandard.ZstdCompressor(dict_data=dictionary).compress(raw)
    refused(chunk_of(raw, frame))


def _stating(size: int) -> bytes:
    """A frame of 1 GiB of zeros with its stated content size replaced."""
    zeros = zstandard.ZstdCompressor().compressobj(size=1 << 30)
    frame = b"".join(zeros.compress(bytes(1 << 24)) for _ in range(64)) + zeros.flush()
    at = frame.index((1 << 30).to_bytes(4, "little"))
    return frame[:at] + size.to_bytes(4, "little") + frame[at + 4 :]


@pytest.mark.parametrize("stated", [1 << 30, CHUNK_BYTES], ids=["which it says", "and says 2 MiB"])
def test_a_bomb_of_1_gib_is_refused_without_room_for_it(stated: int) -> None:
    chunk = EncodedChunk(chunk_digest(bytes(CHUNK_BYTES)), CHUNK_BYTES, Codec.ZSTD, _stating(stated))
    tracemalloc.start()
    try:
        refused(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * CHUNK_BYTES


def test_a_frame_that_states_no_size_is_refused() -> None:
    raw = bytes(1000)
    assert "another size" in refused(chunk_of(raw, zstandard.ZstdCompressor(write_content_size=False).compress(raw)))


def test_threads_do_not_share_a_context() -> None:
    raws = [os.urandom(64) * 4096 for _ in range(64)]
    with ThreadPoolExecutor(8) as threads:
        opened = threads.map(lambda raw: open_chunk(encode_chunk(raw, chunk_digest(raw))), raws)
    assert list(opened) == raws
