"""What a server whose chunks lie or never end can do to those who pull from it: nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest
import zstandard

from hostile_pulls import FILES, GROWTH_MB, Chunks, Place, refused
from hostile_server import REF, Content, HostileServer, PullProcess, chunk_answer
from weighbridge.client import Client
from weighbridge.core import errors
from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import file_manifest
from weighbridge.v1 import transfer_pb2

pytest_plugins = ["hostile_fixtures"]


def _bomb(raw_bytes: int) -> bytes:
    """A small zstd frame that states and holds that many zeros."""
    return zstandard.ZstdCompressor().compress(bytes(raw_bytes))


def _stating(raw_bytes: int) -> bytes:
    """The beginning of a zstd frame that states so many bytes."""
    return zstandard.ZstdCompressor().compressobj(size=raw_bytes).compress(bytes(10**6))


def _unstated(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(raw)


def _changed(**lies: Any) -> Callable[[list[EncodedChunk]], Chunks]:
    """Every chunk is sent with these fields."""
    return lambda chunks: (chunk_answer(chunk, **lies) for chunk in chunks)


ZSTD = int(Codec.ZSTD)
CHUNKS: dict[str, tuple[Callable[[list[EncodedChunk]], Chunks], str]] = {
    "other bytes": (_changed(payload=b"other bytes"), "bytes and says"),
    "other bytes of the right length": (_changed(payload=b'{"layers": 3}'), "its bytes have the digest"),
    "another length": (_changed(raw_bytes=14), "it decodes to 13 bytes and says 14"),
    "no bytes": (_changed(payload=b"", raw_bytes=0), "it says 0 bytes"),
    "4 GiB": (_changed(raw_bytes=2**32 - 1), "it says 4294967295 bytes"),
    "no codec": (_changed(codec=0), "has codec 0"),
    "a codec of a later release": (_changed(codec=99), "has codec 99"),
    "a frame that is none": (_changed(codec=ZSTD), "zstd"),
    "a frame of 1 GB": (_changed(codec=ZSTD, payload=_stating(10**9), raw_bytes=CHUNK_BYTES), "another size"),
    "a frame of 2 MiB": (_changed(codec=ZSTD, payload=_bomb(CHUNK_BYTES), raw_bytes=CHUNK_BYTES), "have the digest"),
    "a frame within a frame": (
        _changed(codec=ZSTD, payload=zstandard.ZstdCompressor().compress(_bomb(10**7)), raw_bytes=len(_bomb(10**7))),
        "the digest",
    ),
    "two frames": (_changed(codec=ZSTD, payload=_bomb(1000) * 2, raw_bytes=1000), "zstd frame"),
    "a frame that states no size": (
        _changed(codec=ZSTD, payload=_unstated(bytes(1000)), raw_bytes=1000),
        "another size",
    ),
    "the chunks in reverse": (lambda chunks: map(chunk_answer, reversed(chunks)), "when it was due"),
    "the right chunk twice": (
        lambda chunks: map(chunk_answer, [chunks[0], *chunks]),
        "when it was due",
    ),
    "one chunk without end": (lambda chunks: map(chunk_answer, repeat(chunks[0])), "when it was due"),
    "too few chunks": (lambda chunks: map(chunk_answer, chunks[:-1]), "when it was due"),
    "no chunks": (lambda chunks: iter(()), "when it was due"),
    "messages without a chunk": (lambda chunks: repeat(transfer_pb2.DownloadChunksResponse()), "when it was due"),
}


@pytest.mark.parametrize("lie", CHUNKS)
def test_a_wrong_chunk_is_data_loss_that_names_its_place(
    hostile: HostileServer, sdk: Client, place: Place, honest: Content, lie: str
) -> None:
    answers, what = CHUNKS[lie]
    hostile.download = lambda request, context: answers([honest.chunks[digest] for digest in request.digests])
    error = refused(sdk, place, errors.DataLoss, what)
    assert error.message.startswith(f"{REF}: file '{error.details['path']}', chunk {error.details['chunk']}: ")
    (file,) = [file for file in honest.files if file.path == error.details["path"]]
    assert format_digest(file.chunks[int(error.details["chunk"])].digest) == error.details["digest"]


def test_a_list_that_lies_about_a_chunks_length_leaves_no_file(
    hostile: HostileServer, sdk: Client, place: Place
) -> None:
    """Root and manifest digest cover the lie, and the chunk is what its digest says."""
    content = Content.of({"x": b"0123456789"}, cut_bytes=5)
    first, second = content.files[0].chunks
    for lengths in ((7, 5), (3, 5), (5, 1)):
        refs = [replace(first, raw_bytes=lengths[0]), replace(second, raw_bytes=lengths[1])]
        hostile.content = Content([file_manifest("x", refs)], content.chunks)
        refused(sdk, place, errors.DataLoss, "bytes; the file's list says")


def test_more_chunks_than_were_asked_for_are_not_looked_at(
    hostile: HostileServer, sdk: Client, place: Place, honest: Content
) -> None:
    def download(request: Any, context: Any) -> Chunks:
        yield from (chunk_answer(honest.chunks[digest]) for digest in request.digests)
        yield from map(chunk_answer, repeat(honest.chunks[request.digests[0]]))

    hostile.download = download
    sdk.pull(REF, place.dest)
    assert (place.dest / "deep" / "weights.bin").read_bytes() == FILES["deep/weights.bin"]


def test_chunks_of_one_byte_are_slow_and_right(hostile: HostileServer, sdk: Client, place: Place) -> None:
    raw = os.urandom(2000)
    hostile.content = Content.of({"x": raw}, cut_bytes=1)
    pulled = sdk.pull_with_counts(REF, place.dest)
    assert (place.dest / "x").read_bytes() == raw
    assert pulled.chunks_received == len(set(raw))


# -- memory --------------------------------------------------------------------------------------


def test_chunks_without_end_are_refused_in_bounded_memory(
    hostile: HostileServer, place: Place, honest: Content
) -> None:
    raw = os.urandom(CHUNK_BYTES)
    chunk = EncodedChunk(chunk_digest(raw), CHUNK_BYTES, Codec.RAW, raw)
    hostile.download = lambda request, context: map(chunk_answer, repeat(chunk))
    before = place.state()
    answer = PullProcess(hostile.address, place.dest).answer()
    assert (answer["reason"], place.state()) == ("DATA_LOSS", before)
    assert answer["growth_mb"] < GROWTH_MB


def test_a_frame_that_holds_a_gigabyte_is_not_inflated(hostile: HostileServer, place: Place, honest: Content) -> None:
    frame = zstandard.ZstdCompressor(level=1).compressobj(size=10**9)
    zeros = bytes(10**7)
    payload = b"".join([*(frame.compress(zeros) for _ in range(100)), frame.flush()])
    assert len(payload) < CHUNK_BYTES
    hostile.download = lambda request, context: (
        chunk_answer(honest.chunks[digest], codec=ZSTD, payload=payload, raw_bytes=CHUNK_BYTES)
        for digest in request.digests
    )
    before = place.state()
    answer = PullProcess(hostile.address, place.dest).answer()
    assert (answer["reason"], place.state()) == ("DATA_LOSS", before)
    assert answer["growth_mb"] < GROWTH_MB
