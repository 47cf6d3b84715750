"""What a codec takes in comes out again, and a payload that is not what it says gives nothing.

What holds for every codec, and zstd frames. ``test_codec_ways`` has which chunk gets which codec, ``test_codec_planes``
and ``test_codec_planes_hostile`` have byte planes.
"""

from __future__ import annotations

import itertools
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cache

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import made_weights
from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.codec import encode_chunk, open_chunk, planes_codec
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


def encoded(raw: bytes, codec: Codec) -> EncodedChunk:
    """A chunk of this codec, whether or not it is the best."""
    payloads = {
        Codec.RAW: lambda: raw,
        Codec.ZSTD: lambda: zstandard.compress(raw),
        Codec.PLANES: lambda: planes_codec.encode(raw, 2, floats=True),
    }
    return chunk_of(raw, payloads[codec](), codec)


def refused(chunk: EncodedChunk) -> str:
    """Why a chunk is refused; the refusal names it."""
    with pytest.raises(ChunkMismatch) as fault:
        open_chunk(chunk)
    assert fault.value.details == {"digest": format_digest(chunk.digest)}
    return fault.value.message


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("kind", ["random", "zeros", "text", "weights"])
def test_what_goes_in_comes_out(size: int, kind: str) -> None:
    raw = {
        "random": lambda: os.urandom(size),
        "zeros": lambda: bytes(size),
        "text": lambda: (b"0.25 " * (size // 5 + 1))[:size],
        "weights": lambda: made_weights.normal("bf16", CHUNK_BYTES // 2)[:size],
    }[kind]()
    chunk = encode_chunk(raw, chunk_digest(raw))
    assert open_chunk(chunk) == raw
    assert len(chunk.payload) <= len(raw) == chunk.raw_bytes
    if size >= 256:
        kinds = {"random": Codec.RAW, "zeros": Codec.ZSTD, "text": Codec.ZSTD, "weights": Codec.PLANES}
        assert chunk.codec is kinds[kind]


@given(st.binary(min_size=1, max_size=4096), st.integers(1, 300))
def test_any_bytes_come_out_again(unit: bytes, times: int) -> None:
    raw = unit * times
    assert open_chunk(encode_chunk(raw, chunk_digest(raw))) == raw


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("codec", list(Codec))
def test_bytes_in_any_buffer_are_taken(codec: Codec, form: type[bytes | bytearray | memoryview]) -> None:
    """As they come from a file, from a message, or from a part of either."""
    raw = {Codec.RAW: made_weights.noise(5001), Codec.ZSTD: b"text " * 1000}.get(
        codec, made_weights.normal("bf16", 2500) + b"."
    )
    chunk = encode_chunk(form(raw), chunk_digest(raw))
    assert chunk.codec is codec
    assert open_chunk(chunk) == raw
    assert open_chunk(replace(chunk, payload=form(bytes(chunk.payload)))) == raw


def test_what_does_not_get_smaller_is_not_copied() -> None:
    raw = os.urandom(CHUNK_BYTES)
    chunk = encode_chunk(raw, chunk_digest(raw))
    assert chunk.payload is raw
    assert open_chunk(chunk) is raw


@pytest.mark.parametrize("codec", list(Codec))
def test_a_chunk_of_another_digest_is_refused(codec: Codec) -> None:
    raw = b"weights" * 100
    wrong = replace(encoded(raw, codec), digest=chunk_digest(b"other"))
    assert f"its bytes have the digest {format_digest(chunk_digest(raw))}" in refused(wrong)


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


@pytest.mark.parametrize("codec", list(Codec))
def test_another_length_is_refused(codec: Codec) -> None:
    raw = b"weights" * 100
    chunk = encoded(raw, codec)
    assert open_chunk(chunk) == raw
    for raw_bytes in (-1, 0, 1, 699, 701, 708, CHUNK_BYTES, CHUNK_BYTES + 1, 2**32 - 1):
        refused(replace(chunk, raw_bytes=raw_bytes))


@pytest.mark.parametrize("codec", list(Codec))
def test_an_empty_payload_is_refused(codec: Codec) -> None:
    assert "empty" in refused(EncodedChunk(chunk_digest(b""), 1, codec, b""))


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.PLANES])
def test_a_payload_longer_than_its_raw_bytes_is_refused(codec: Codec) -> None:
    chunk = encoded(os.urandom(1000), codec)
    assert len(chunk.payload) > 1000
    assert "longer than its raw bytes" in refused(chunk)


@pytest.mark.parametrize(("codec", "other"), list(itertools.permutations(Codec, 2)))
def test_a_payload_of_one_codec_is_none_of_another(codec: Codec, other: Codec) -> None:
    refused(replace(encoded(b"weights" * 100, codec), codec=other))


def test_two_frames_are_refused() -> None:
    half = bytes(1000)
    assert "another size" in refused(chunk_of(half * 2, zstandard.compress(half) * 2))
    refused(chunk_of(half, zstandard.compress(half) * 2))


def test_bytes_after_the_frame_are_refused() -> None:
    raw = bytes(1000)
    refused(chunk_of(raw, zstandard.compress(raw) + b"\0"))


@pytest.mark.parametrize("number", [0, max(Codec) + 1, 255])
def test_an_unknown_codec_is_refused(number: int) -> None:
    raw = bytes(1000)
    assert f"codec {number} is not known" in refused(chunk_of(raw, raw, codec=number))  # type: ignore[arg-type]


def test_a_frame_for_a_dictionary_is_refused() -> None:
    raw = b"layer.weight " * 50
    dictionary = zstandard.ZstdCompressionDict(raw * 4, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    frame = zstandard.ZstdCompressor(dict_data=dictionary).compress(raw)
    refused(chunk_of(raw, frame))


@cache
def a_gibibyte() -> bytes:
    """A frame of 1 GiB of zeros, 32 KiB long."""
    zeros = zstandard.ZstdCompressor().compressobj(size=1 << 30)
    return b"".join(zeros.compress(bytes(1 << 24)) for _ in range(64)) + zeros.flush()


def bomb(stated: int) -> bytes:
    """A frame of 1 GiB of zeros that states this size."""
    at = a_gibibyte().index((1 << 30).to_bytes(4, "little"))
    return a_gibibyte()[:at] + stated.to_bytes(4, "little") + a_gibibyte()[at + 4 :]


def refused_within(most: int, chunk: EncodedChunk) -> str:
    """Why a chunk is refused, which takes no more memory than this."""
    tracemalloc.start()
    try:
        why = refused(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most
    return why


@pytest.mark.parametrize("stated", [1 << 30, CHUNK_BYTES], ids=["which it says", "and says 2 MiB"])
def test_a_bomb_of_1_gib_is_refused_without_room_for_it(stated: int) -> None:
    chunk = EncodedChunk(chunk_digest(bytes(CHUNK_BYTES)), CHUNK_BYTES, Codec.ZSTD, bomb(stated))
    refused_within(2 * CHUNK_BYTES, chunk)


def test_a_frame_that_states_no_size_is_refused() -> None:
    raw = bytes(1000)
    assert "another size" in refused(chunk_of(raw, zstandard.ZstdCompressor(write_content_size=False).compress(raw)))


def test_threads_do_not_share_a_context() -> None:
    raws = [os.urandom(64) * 4096 for _ in range(64)]
    with ThreadPoolExecutor(8) as threads:
        opened = threads.map(lambda raw: open_chunk(encode_chunk(raw, chunk_digest(raw))), raws)
    assert list(opened) == raws
