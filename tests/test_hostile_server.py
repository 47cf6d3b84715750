"""What a server that lies, stalls or never ends can do to those who pull from it and push to it: nothing."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count, repeat
from pathlib import Path
from typing import Any

import grpc
import pytest
import zstandard

import weighbridge as wb
from hostile_server import (
    MODEL,
    REF,
    Answers,
    Content,
    HostileServer,
    PullProcess,
    chunk_answer,
    durable,
    until_ended,
    verified,
)
from weighbridge.client import Client
from weighbridge.core import errors
from weighbridge.core.chunks import ChunkRef, Codec, EncodedChunk
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.core.limits import CHUNK_BYTES, CHUNKS_PER_VERSION, FILES_PER_VERSION
from weighbridge.core.manifest import FileManifest, file_manifest
from weighbridge.core.paths import PARTIAL_PREFIX
from weighbridge.v1 import models_pb2, transfer_pb2, versions_pb2
from weighbridge.wire.connection import Connection

STALL_S = 0.4
RETRY_S = 1.0
GROWTH_MB = 100
"""Most that an endless or inflated answer may cost; it is measured to cost less than half of it."""
LONGEST_LIST_MB = 280
"""What a million chunks with their places take: measured to be 40 MB less."""

FILES = {"config.json": b'{"layers": 2}', "deep/weights.bin": os.urandom(2500)}
"""Cut every 1000 bytes: one chunk, and three."""

Message = transfer_pb2.GetManifestResponse


@pytest.fixture
def honest() -> Content:
    """What the server holds."""
    return Content.of(FILES, cut_bytes=1000)


@pytest.fixture
def hostile(honest: Content) -> Iterator[HostileServer]:
    """A server that is honest until the test changes it."""
    with HostileServer(honest) as server:
        yield server


@pytest.fixture
def sdk(hostile: HostileServer) -> Iterator[Client]:
    """A client of it, with little patience."""
    with Client(Connection(hostile.address, None, retry_limit_s=RETRY_S, stall_timeout_s=STALL_S)) as client:
        yield client


@dataclass
class Place:
    """Where pulls go to, and everything around it."""

    root: Path
    dest: Path
    outside: Path

    def state(self) -> dict[str, object]:
        """Every entry below the root: its kind and mode, and its bytes or where it leads."""
        return {
            str(path.relative_to(self.root)): (path.lstat().st_mode, _content(path))
            for path in sorted(self.root.rglob("*"))
        }


def _content(path: Path) -> object:
    if path.is_symlink():
        return path.readlink()
    return path.read_bytes() if path.is_file() else None


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A destination with a file in it, and another folder beside its parent."""
    root = tmp_path / "root"
    place = Place(root, root / "parent" / "dest", root / "outside")
    place.dest.mkdir(parents=True)
    (place.dest / "mine.txt").write_text("mine")
    place.outside.mkdir()
    (place.outside / "sentinel").write_text("untouched")
    return place


def refused(sdk: Client, place: Place, cls: type[wb.WeighbridgeError], text: str, ref: str = REF) -> Any:
    """Pulls; it must fail as told, with ``text`` where a person reads it, and change nothing on the disk."""
    before = place.state()
    for dest in (place.dest, place.root / "absent" / "dest"):
        with pytest.raises(cls) as caught:
            sdk.pull(ref, dest)
        assert type(caught.value) is cls
        shown = "\n".join([caught.value.message, *(f"{item.path}: {item.message}" for item in caught.value.violations)])
        assert text in shown
        assert place.state() == before
    return caught.value


# -- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "what"),
    [
        (["../x"], "leads outside with '..'"),
        (["deep/../../x"], "leads outside with '..'"),
        (["/etc/x"], "is absolute"),
        (["a\\..\\x"], "contains a backslash"),
        (["a\0b"], "contains a NUL"),
        (["./x"], "has an empty or '.' segment"),
        ([""], "is empty"),
        (["a//b"], "has an empty or '.' segment"),
        (["x" * 513], "is 513 characters long"),
        (["é" * 257], "is 514 bytes long"),
        (["Model.bin", "model.BIN"], "collides with"),
        (["a", "a/b"], "needs a folder where 'a' is a file"),
        (["a", "a"], "collides with"),
        ([PARTIAL_PREFIX + "0123456789abcdef/0"], "where pulls keep their unfinished files"),
    ],
)
def test_no_path_leads_outside(hostile: HostileServer, sdk: Client, place: Place, paths: list[str], what: str) -> None:
    """The manifest is right in every digest: only the paths are not."""
    ref = ChunkRef(chunk_digest(b"x"), 1)
    hostile.content.files = [file_manifest(path, [ref]) for path in paths]
    error = refused(sdk, place, errors.InvalidPath, what)
    assert error.violations
    assert not hostile.asked


def test_every_bad_path_is_named(hostile: HostileServer, sdk: Client, place: Place) -> None:
    hostile.content.files = [file_manifest(path, []) for path in ("../x", "/y", "fine")]
    error = refused(sdk, place, errors.InvalidPath, "2 of the paths")
    assert [item.path for item in error.violations] == ["../x", "/y"]


@pytest.mark.parametrize("target", ["outside", "parent/dest/real", "nowhere"])
def test_no_folder_is_entered_through_a_link(hostile: HostileServer, sdk: Client, place: Place, target: str) -> None:
    (place.dest / "real").mkdir()
    (place.dest / "deep").symlink_to(place.root / target)
    before = place.state()
    with pytest.raises(wb.DestinationUnwritable) as caught:
        sdk.pull(REF, place.dest)
    assert f"{place.dest}/deep cannot be written: it is a link" in caught.value.message
    assert caught.value.details["path"] == str(place.dest / "deep")
    assert place.state() == before
    assert not hostile.asked, "it is known before a byte comes over the wire"


def test_a_link_that_appears_during_the_pull_is_not_followed(
    hostile: HostileServer, sdk: Client, place: Place, honest: Content
) -> None:
    def download(request: Any, context: Any) -> Iterator[Any]:
        (place.dest / "deep").symlink_to(place.outside)
        for digest in request.digests:
            yield chunk_answer(honest.chunks[digest])

    hostile.download = download
    with pytest.raises(wb.DestinationUnwritable, match=r"deep/weights\.bin cannot be written"):
        sdk.pull(REF, place.dest)
    assert [path.name for path in place.outside.iterdir()] == ["sentinel"]
    assert {path.name for path in place.dest.iterdir()} == {"mine.txt", "deep"}


@pytest.mark.parametrize("target", ["nowhere", "outside/sentinel"])
def test_a_link_in_the_place_of_a_file_is_replaced(sdk: Client, place: Place, target: str) -> None:
    (place.dest / "config.json").symlink_to(place.root / target)
    sdk.pull(REF, place.dest)
    assert not (place.dest / "config.json").is_symlink()
    assert (place.dest / "config.json").read_bytes() == FILES["config.json"]
    assert (place.outside / "sentinel").read_text() == "untouched"
    assert not (place.root / "nowhere").exists()


@pytest.mark.parametrize(("name", "what"), [("config.json", "it is a folder"), ("deep", "it is a file")])
def test_what_stands_in_the_way_is_named_before_a_byte_comes(
    hostile: HostileServer, sdk: Client, place: Place, name: str, what: str
) -> None:
    if name == "config.json":
        (place.dest / name).mkdir()
    else:
        (place.dest / name).write_text("mine")
    before = place.state()
    with pytest.raises(wb.DestinationUnwritable, match=f"{name} cannot be written: {what}"):
        sdk.pull(REF, place.dest)
    assert place.state() == before
    assert not hostile.asked


@pytest.mark.parametrize("planted", ["folder", "file"])
def test_no_unfinished_file_is_written_through_a_link(
    hostile: HostileServer, sdk: Client, place: Place, honest: Content, planted: str
) -> None:
    partial = place.dest / f"{PARTIAL_PREFIX}{honest.digest[3:19]}"
    if planted == "folder":
        (place.outside / "0").write_text("untouched too")
        partial.symlink_to(place.outside)
    else:
        partial.mkdir()
        (partial / "0").symlink_to(place.outside / "sentinel")
    outside = {path.name: path.read_bytes() for path in place.outside.iterdir()}
    with pytest.raises(wb.DestinationUnwritable, match="symbolic link"):
        sdk.pull(REF, place.dest)
    assert {path.name: path.read_bytes() for path in place.outside.iterdir()} == outside


# -- manifests -----------------------------------------------------------------------------------


def entry(file: FileManifest, **lies: Any) -> Message:
    """A file's entry, with what the test would change."""
    truth = {"path": file.path, "size_bytes": file.size_bytes, "root": file.root, "chunks_total": len(file.chunks)}
    return Message(file=transfer_pb2.FileEntry(**{**truth, **lies}))


def chunk_list(*chunks: ChunkRef) -> Message:
    """A part of a list."""
    return Message(
        chunks=transfer_pb2.ChunkList(
            chunks=[transfer_pb2.ChunkRef(digest=chunk.digest, raw_bytes=chunk.raw_bytes) for chunk in chunks]
        )
    )


def lying(file: FileManifest, **lies: Any) -> Callable[[Content], Answers]:
    """A manifest whose one file is not what its entry says."""

    def answers(content: Content) -> Answers:
        yield content.header()
        yield entry(file, **lies)
        yield chunk_list(*file.chunks)

    return answers


ONE = file_manifest("x", [ChunkRef(chunk_digest(b"x"), 1)])
WHOLE = ChunkRef(chunk_digest(b"whole"), CHUNK_BYTES)
LISTS: dict[str, tuple[Callable[[Content], Answers], str]] = {
    "nothing": (lambda _: iter(()), "it is empty"),
    "no header": (lambda content: content.listed(), "does not begin with its header"),
    "an empty message": (lambda _: iter([Message()]), "does not begin with its header"),
    "a second header": (lambda content: iter([content.header(), content.header()]), "a second header"),
    "a header amid files": (
        lambda content: iter([content.header(), *list(content.listed())[:2], content.header()]),
        "a second header",
    ),
    "an empty message later": (lambda content: iter([content.header(), Message()]), "without content"),
    "another model": (lambda content: iter([content.header(model="x.y.z")]), "'x.y.z'"),
    "another reference": (lambda content: iter([content.header(ref="a.b.c:2")]), "'a.b.c:2'"),
    "another number": (lambda content: iter([content.header(version=2, ref="a.b.c:2")]), "'a.b.c:2'"),
    "no digest": (lambda content: iter([content.header(manifest_digest="b3:00")]), "its digest is 'b3:00'"),
    "another digest": (
        lambda content: iter([content.header(manifest_digest="b3:" + "0" * 64), *content.listed()]),
        "not b3:" + "0" * 64,
    ),
    "too few files": (lambda content: iter([content.header(), *list(content.listed())[:2]]), "announces 2 files"),
    "another total": (
        lambda content: iter([content.header(bytes_total=2**64 - 1), *content.listed()]),
        "18446744073709551615 bytes",
    ),
    "chunks before a file": (lambda content: iter([content.header(), chunk_list(WHOLE)]), "before the first file"),
    "another root": (lying(ONE, root=bytes(32)), "says root b3:" + "0" * 64),
    "a short root": (lying(ONE, root=b"short"), "says root b3:"),
    "another size": (lying(ONE, size_bytes=2), "says 2 bytes"),
    "2^63 bytes": (lying(ONE, size_bytes=2**63), "says 9223372036854775808 bytes"),
    "2^64 - 1 bytes": (lying(ONE, size_bytes=2**64 - 1), "says 18446744073709551615 bytes"),
    "fewer chunks than it says": (lying(ONE, chunks_total=2), "announces 2 chunks"),
    "more chunks than it says": (lying(ONE, chunks_total=0), "announces 0 chunks"),
    "more chunks than there may be": (lying(ONE, chunks_total=CHUNKS_PER_VERSION + 1), "at most 1048576"),
    "2^64 - 1 chunks": (lying(ONE, chunks_total=2**64 - 1), "at most 1048576"),
    "a chunk of nothing": (lying(file_manifest("x", [ChunkRef(WHOLE.digest, 0)])), "for 0 bytes"),
    "a chunk of 4 GiB": (lying(file_manifest("x", [ChunkRef(WHOLE.digest, 2**32 - 1)])), "for 4294967295 bytes"),
    "a short digest": (lying(file_manifest("x", [ChunkRef(b"short", 1)])), "a digest of 5 bytes"),
    "a long digest": (lying(file_manifest("x", [ChunkRef(bytes(68), 1)])), "a digest of 68 bytes"),
    "an endless list of nothing": (
        lambda content: (
            message for part in ([content.header(), entry(ONE)], repeat(chunk_list())) for message in part
        ),
        "without entries",
    ),
}


@pytest.mark.parametrize("lie", LISTS)
def test_a_wrong_manifest_is_data_loss(
    hostile: HostileServer, sdk: Client, place: Place, honest: Content, lie: str
) -> None:
    answers, what = LISTS[lie]
    hostile.manifest = lambda request, context: answers(honest)
    error = refused(sdk, place, errors.DataLoss, what)
    assert error.message.startswith(f"{hostile.address} sent a wrong manifest of {REF}: ")
    assert not hostile.asked


@pytest.mark.parametrize("ref", [f"{MODEL}#b3:{'1' * 64}", f"{MODEL}:7", "x.y.z", "x.y.z@production"])
def test_a_manifest_of_something_else_is_refused(sdk: Client, place: Place, ref: str) -> None:
    refused(sdk, place, errors.DataLoss, f"sent a wrong manifest of {ref}: it says that", ref=ref)


def test_a_manifest_is_taken_for_every_reference_it_fits(sdk: Client, place: Place, honest: Content) -> None:
    for ref in (MODEL, REF, f"{MODEL}@production", f"{MODEL}#{honest.digest}"):
        sdk.pull(ref, place.dest / ref)
        assert (place.dest / ref / "deep" / "weights.bin").read_bytes() == FILES["deep/weights.bin"]


# -- chunks --------------------------------------------------------------------------------------

Chunks = Iterator[transfer_pb2.DownloadChunksResponse]


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


# -- streams that stand still, and answers that cannot be read --------------------------------------


def test_a_manifest_that_never_comes_is_ended(hostile: HostileServer, sdk: Client, place: Place) -> None:
    def silent(request: Any, context: grpc.ServicerContext) -> Answers:
        until_ended(context)
        yield from ()

    hostile.manifest = silent
    began = time.monotonic()
    refused(sdk, place, errors.DeadlineExceeded, f"{hostile.address} moved nothing for {STALL_S:g} s")
    assert 2 * STALL_S <= time.monotonic() - began < 2 * STALL_S + 2


def test_a_manifest_that_stops_is_ended(hostile: HostileServer, sdk: Client, place: Place, honest: Content) -> None:
    def stopping(request: Any, context: grpc.ServicerContext) -> Answers:
        yield honest.header()
        yield from list(honest.listed())[:2]
        until_ended(context)

    hostile.manifest = stopping
    refused(sdk, place, errors.DeadlineExceeded, f"{hostile.address} moved nothing for {STALL_S:g} s")


def test_chunks_that_stop_coming_end_the_pull_and_the_next_goes_on(
    hostile: HostileServer, sdk: Client, place: Place, honest: Content
) -> None:
    honestly, hostile.download = hostile.download, _stopping_after(honest, 2)
    with pytest.raises(wb.DeadlineExceeded, match=f"{hostile.address} moved nothing for {STALL_S:g} s"):
        sdk.pull(REF, place.dest)
    assert {path.name[:13] for path in place.dest.iterdir()} == {"mine.txt", PARTIAL_PREFIX}
    hostile.download = honestly
    assert sdk.pull_with_counts(REF, place.dest).chunks_received == 2
    assert {path.name for path in place.dest.iterdir()} == {"mine.txt", "config.json", "deep"}


def test_a_reader_that_takes_its_time_is_not_ended(hostile: HostileServer, sdk: Client, honest: Content) -> None:
    """The server owes nothing while nobody asks for more."""
    files = sdk.files(REF)
    next(files)
    assert not threading.Event().wait(2 * STALL_S)
    assert [file.path for file in files] == ["deep/weights.bin"]


def test_a_message_over_4_mib_is_refused(hostile: HostileServer, sdk: Client, place: Place, honest: Content) -> None:
    big = transfer_pb2.DownloadChunksResponse(chunk=transfer_pb2.Chunk(payload=bytes(5 * 2**20)))
    hostile.download = lambda request, context: iter([big])
    refused(sdk, place, errors.Overloaded, "larger than max")
    hostile.manifest = lambda request, context: iter([honest.header(ref="x" * 5 * 2**20)])
    refused(sdk, place, errors.Overloaded, "larger than max")


def _abort(code: grpc.StatusCode, metadata: tuple[tuple[str, bytes | str], ...] = ()) -> Callable[..., Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(metadata)
        context.abort(code, "no")

    return answer


@pytest.mark.parametrize(
    ("metadata", "cls"),
    [
        ((("grpc-status-details-bin", b"\xff\xff\xff"),), errors.Unavailable),
        ((("grpc-status-details-bin", b"\x08\x05"),), errors.Unavailable),
        ((("grpc-status-details-bin", b""),), errors.Unavailable),
        (tuple((f"x-{number}", "y" * 1000) for number in range(500)), errors.Overloaded),
    ],
)
def test_trailers_that_cannot_be_read_are_still_an_error(
    hostile: HostileServer, sdk: Client, place: Place, metadata: Any, cls: type[wb.WeighbridgeError]
) -> None:
    hostile.manifest = _abort(grpc.StatusCode.CANCELLED, metadata)
    refused(sdk, place, cls, hostile.address)


@pytest.mark.parametrize("where", ["manifest", "download"])
def test_a_server_that_is_never_available_ends_the_pull_in_time(
    hostile: HostileServer, sdk: Client, place: Place, where: str
) -> None:
    sdk.resolve(REF)  # it was there once
    setattr(hostile, where, _abort(grpc.StatusCode.UNAVAILABLE))
    began = time.monotonic()
    with pytest.raises(wb.Unavailable, match=hostile.address):
        sdk.pull(REF, place.dest)
    assert RETRY_S / 3 < time.monotonic() - began < RETRY_S + 1.5
    assert {path.name for path in place.dest.iterdir() if not path.name.startswith(PARTIAL_PREFIX)} == {"mine.txt"}


# -- memory --------------------------------------------------------------------------------------


def _headed(content: Content, rest: Iterator[Message]) -> Answers:
    yield content.header(files_total=FILES_PER_VERSION)
    yield from rest


def _long_paths() -> Iterator[Message]:
    return (entry(ONE, path=f"{number}" + "x" * 3_000_000, chunks_total=0) for number in count())


def _endless_chunks() -> Iterator[Message]:
    yield entry(ONE, chunks_total=10)
    part = chunk_list(*[WHOLE] * 8192)
    yield from repeat(part)


ENDLESS: dict[str, tuple[Callable[[], Iterator[Message]], str]] = {
    "files": (lambda: (entry(file_manifest(f"{number}", [])) for number in count()), "20001 files"),
    "files with 500 bytes of path": (
        lambda: (entry(file_manifest(f"{number:0500}", [])) for number in count()),
        "20001 files",
    ),
    "files with 3 MB of path": (_long_paths, "a path cannot be held"),
    "chunks": (_endless_chunks, "announces 10 chunks"),
    "empty messages": (lambda: repeat(Message()), "without content"),
    "empty lists": (lambda: iter([entry(ONE), *[chunk_list()] * 1000]), "without entries"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_manifest_without_end_is_refused_in_bounded_memory(
    hostile: HostileServer, place: Place, honest: Content, what: str
) -> None:
    rest, said = ENDLESS[what]
    hostile.manifest = lambda request, context: _headed(honest, rest())
    before = place.state()
    answer = PullProcess(hostile.address, place.dest).answer()
    assert said in answer["message"]
    assert answer["reason"] in ("DATA_LOSS", "INVALID_PATH")
    assert answer["growth_mb"] < GROWTH_MB
    assert place.state() == before


def test_the_longest_list_that_is_allowed_fits_in_memory(place: Place) -> None:
    """2 TiB of file, all digests different: what a version may have, and the most that a server can make us keep."""
    refs = [ChunkRef(number.to_bytes(32, "big"), CHUNK_BYTES) for number in range(CHUNKS_PER_VERSION)]
    with HostileServer(Content([file_manifest("x", refs)])) as server:
        server.download = lambda request, context: iter(())
        before = place.state()
        answer = PullProcess(server.address, place.dest).answer()
    assert (answer["reason"], place.state()) == ("DATA_LOSS", before)
    assert answer["growth_mb"] < LONGEST_LIST_MB


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


class _Compressing(grpc.ServerInterceptor):
    """Every answer is compressed with gzip."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if not handler.response_streaming:
            return handler

        def compressed(request: Any, context: grpc.ServicerContext) -> Any:
            context.set_compression(grpc.Compression.Gzip)
            return handler.unary_stream(request, context)

        return grpc.unary_stream_rpc_method_handler(
            compressed, request_deserializer=handler.request_deserializer, response_serializer=bytes
        )


def test_a_compressed_message_is_not_inflated(place: Place, honest: Content) -> None:
    """gRPC inflates before it looks at its limit: 300 MB of zeros come as 0.3 MB."""
    with HostileServer(honest, interceptors=[_Compressing()]) as server:
        zeros: Any = bytes(300 * 2**20)
        server.manifest = lambda request, context: iter([zeros])
        before = place.state()
        answer = PullProcess(server.address, place.dest).answer()
    assert "ompress" in answer["message"]
    assert place.state() == before
    assert answer["growth_mb"] < GROWTH_MB


def test_a_file_larger_than_the_file_system_takes_is_refused_whole(place: Place) -> None:
    content = Content.of({"small": b"x", "large": os.urandom(3 * 10**6)})
    before = place.state()
    with HostileServer(content) as server:
        answer = PullProcess(server.address, place.dest, file_limit_bytes=2 * 10**6).answer()
        assert answer["reason"] == "DESTINATION_UNWRITABLE"
        assert answer["message"] == f"{place.dest}/large cannot be written: File too large"
        assert not server.asked
    assert place.state() == before


# -- what a killed pull leaves, and what the next makes of it ---------------------------------------


def _large() -> Content:
    return Content.of({"weights.bin": os.urandom(8 * 10_000)}, cut_bytes=10_000)


def _stopping_after(content: Content, chunks: int) -> Callable[..., Chunks]:
    """Sends so many chunks and stops for ever, however often it is asked again."""
    left = chunks

    def download(request: Any, context: grpc.ServicerContext) -> Chunks:
        nonlocal left
        sent, left = request.digests[:left], 0
        yield from (chunk_answer(content.chunks[digest]) for digest in sent)
        until_ended(context)

    return download


def _killed_pull(server: HostileServer, content: Content, place: Place) -> Path:
    """Kills a pull after five of eight chunks; returns the unfinished file."""
    server.download = _stopping_after(content, 5)
    pull = PullProcess(server.address, place.dest, telling=True)
    pull.wait_for_chunks(5)
    pull.kill()
    (partial,) = [path for path in place.dest.iterdir() if path.name != "mine.txt"]
    assert partial.name == PARTIAL_PREFIX + content.digest[3:19]
    server.download = HostileServer(content).download
    return partial / "0"


def test_a_killed_pull_leaves_no_file_and_the_next_process_goes_on(place: Place) -> None:
    content = _large()
    with HostileServer(content) as server:
        _killed_pull(server, content, place)
        assert PullProcess(server.address, place.dest).answer()["chunks_received"] == 3
    assert {path.name for path in place.dest.iterdir()} == {"mine.txt", "weights.bin"}
    raw = (place.dest / "weights.bin").read_bytes()
    assert [chunk_digest(raw[start : start + 10_000]) for start in range(0, 80_000, 10_000)] == list(content.chunks)


@pytest.mark.parametrize(("damage", "received"), [("one byte", 4), ("cut short", 7), ("longer", 3), ("emptied", 8)])
def test_what_was_changed_meanwhile_is_fetched_again(
    hostile: HostileServer, sdk: Client, place: Place, damage: str, received: int
) -> None:
    content = hostile.content = _large()
    honestly, hostile.download = hostile.download, _stopping_after(content, 5)
    with pytest.raises(wb.DeadlineExceeded):
        sdk.pull(REF, place.dest)
    unfinished = place.dest / f"{PARTIAL_PREFIX}{content.digest[3:19]}" / "0"
    raw = bytearray(unfinished.read_bytes())
    if damage == "one byte":
        raw[25_000] ^= 1
    elif damage == "longer":
        raw += b"more"
    else:
        del raw[15_000 if damage == "cut short" else 0 :]
    unfinished.write_bytes(raw)
    hostile.download = honestly
    assert sdk.pull_with_counts(REF, place.dest).chunks_received == received
    raw = bytearray((place.dest / "weights.bin").read_bytes())
    assert [chunk_digest(raw[start : start + 10_000]) for start in range(0, 80_000, 10_000)] == list(content.chunks)
    assert {path.name for path in place.dest.iterdir()} == {"mine.txt", "weights.bin"}


@pytest.mark.parametrize("dest", ["parent/dest", "absent/dest"])
def test_two_processes_pull_into_one_folder_at_once(place: Place, dest: str) -> None:
    content = _large()
    both = threading.Barrier(2)

    def download(request: Any, context: grpc.ServicerContext) -> Chunks:
        both.wait(30)
        yield from (chunk_answer(content.chunks[digest]) for digest in request.digests)

    with HostileServer(content) as server:
        server.download = download
        pulls = [PullProcess(server.address, place.root / dest) for _ in range(2)]
        assert [pull.answer()["chunks_received"] for pull in pulls] == [8, 8]
    raw = (place.root / dest / "weights.bin").read_bytes()
    assert [chunk_digest(raw[start : start + 10_000]) for start in range(0, 80_000, 10_000)] == list(content.chunks)
    assert {path.name for path in (place.root / dest).iterdir()} - {"mine.txt"} == {"weights.bin"}


def test_a_pull_that_fails_leaves_what_another_put_into_the_folder_it_made(
    hostile: HostileServer, sdk: Client, place: Place, honest: Content
) -> None:
    dest = place.root / "absent"

    def download(request: Any, context: grpc.ServicerContext) -> Chunks:
        (dest / "theirs").write_text("theirs")
        yield chunk_answer(honest.chunks[request.digests[0]], payload=b"wrong")

    hostile.download = download
    with pytest.raises(wb.DataLoss):
        sdk.pull(REF, dest)
    assert [path.name for path in dest.iterdir()] == ["theirs"]


@pytest.mark.parametrize("comes_back", ["honest", "lying"])
def test_a_server_that_dies_and_comes_back(place: Place, comes_back: str) -> None:
    content = _large()
    written = threading.Semaphore(0)

    class Telling:
        def begin(self, files_total: int, bytes_total: int) -> None:
            pass

        def advance(self, raw_bytes: int, moved_bytes: int) -> None:
            written.release()

    first = HostileServer(content).__enter__()
    first.download = _stopping_after(content, 5)
    with ThreadPoolExecutor(1) as thread, Client(Connection(first.address, None, retry_limit_s=20)) as sdk:
        pulling = thread.submit(sdk.pull_with_counts, REF, place.dest, progress=Telling())
        for _ in range(5):
            assert written.acquire(timeout=20)
        first.stop()
        with HostileServer(content, first.port) as second:
            if comes_back == "honest":
                assert pulling.result(30).chunks_received == 8
                assert len(second.asked) == 3, "what was written is not asked for again"
                assert {path.name for path in place.dest.iterdir()} == {"mine.txt", "weights.bin"}
            else:
                second.download = lambda request, context: (
                    chunk_answer(content.chunks[digest], payload=os.urandom(10_000)) for digest in request.digests
                )
                with pytest.raises(wb.DataLoss, match=r"file 'weights\.bin', chunk 5: "):
                    pulling.result(30)
                assert {path.name for path in place.dest.iterdir()} == {"mine.txt"}


# -- receipts ------------------------------------------------------------------------------------


def _as_if(document: dict[str, Any], file: FileManifest) -> dict[str, Any]:
    """A receipt that is right in every digest."""
    content = Content([file])
    listed = {
        "path": file.path,
        "size_bytes": file.size_bytes,
        "root": file.root.hex(),
        "digests": base64.b64encode(b"".join(chunk.digest for chunk in file.chunks)).decode(),
        "lengths": [chunk.raw_bytes for chunk in file.chunks],
    }
    return {**document, "manifest_digest": content.digest, "files": [listed]}


def _with_file(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**document, "files": [{**document["files"][0], **changes}, *document["files"][1:]]}


RECEIPTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a list": lambda document: [document],
    "null": lambda document: None,
    "deep": lambda document: "deep",
    "no files": lambda document: {**document, "files": []},
    "files that are none": lambda document: {**document, "files": [1, None]},
    "files by name": lambda document: {**document, "files": {"a": 1}},
    "a number as a path": lambda document: _with_file(document, path=5),
    "half a character": lambda document: _with_file(document, path="\ud800"),
    "a negative length": lambda document: _with_file(document, lengths=[-13]),
    "a length of 2^64": lambda document: _with_file(document, lengths=[2**64]),
    "a length of 13.0": lambda document: _with_file(document, lengths=[13.0]),
    "a size of 10^400": lambda document: _with_file(document, size_bytes=10**400),
    "too many lengths": lambda document: _with_file(document, lengths=[13, 1]),
    "a root that is none": lambda document: _with_file(document, root="xyz"),
    "another digest": lambda document: {**document, "manifest_digest": "b3:" + "0" * 64},
    "no reference": lambda document: {**document, "ref": 7},
    "a way outside": lambda document: _as_if(
        document, file_manifest("../../outside/sentinel", [ChunkRef(chunk_digest(b"untouched"), 9)])
    ),
}


@pytest.mark.parametrize("change", RECEIPTS)
def test_a_receipt_that_was_changed_is_not_believed(
    sdk: Client, hostile: HostileServer, place: Place, cache_dir: Path, change: str
) -> None:
    dest = place.root / "fresh"
    hostile.content = Content.of(FILES)  # cut as a push would, so that the folder can be looked up
    sdk.pull(REF, dest)
    (receipt,) = (cache_dir / "pulls").iterdir()
    document = RECEIPTS[change](json.loads(receipt.read_text()))
    receipt.write_text("[" * 100_000 if document == "deep" else json.dumps(document))
    asked: list[str] = []

    def list_versions(request: versions_pb2.ListVersionsRequest) -> versions_pb2.ListVersionsResponse:
        asked.append(request.manifest_digest)
        return versions_pb2.ListVersionsResponse(versions=[hostile.content.version()])

    hostile.list_versions = list_versions
    found = sdk.verify(dest)
    assert (found.ok, found.ref, asked) == (True, REF, [hostile.content.digest])
    (dest / "config.json").write_text("changed")
    with pytest.raises(wb.VersionNotFound, match="no version on"):  # whatever version the server answers
        sdk.verify(dest)


def test_a_folder_that_cannot_be_entered_is_a_problem_and_no_crash(sdk: Client, place: Place) -> None:
    sdk.pull(REF, place.dest)
    (place.dest / "config.json").unlink()
    (place.dest / "config.json").symlink_to("config.json")
    (place.dest / "deep" / "weights.bin").unlink()
    os.mkfifo(place.dest / "deep" / "weights.bin")
    problems = {item.path: item.message for item in sdk.verify(place.dest).problems}
    assert problems["deep/weights.bin"] == "is not a regular file"
    assert problems["config.json"].startswith("cannot be looked at: ")


# -- pushes --------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of 17 chunks that do not compress: more than the credit."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(17 * CHUNK_BYTES))
    return path


Acks = Iterator[transfer_pb2.UploadChunksResponse]


def _never(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    until_ended(context)
    yield from ()


def _read_and_never(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    yield from (verified() for digest in server.digests(requests) if not digest)


def _others(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    for number, _ in enumerate(server.digests(requests)):
        yield verified(number.to_bytes(32, "big"))
        yield durable(number.to_bytes(32, "big"))


def _others_without_end(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    return (verified(number.to_bytes(32, "big")) for number in count())


def _one_without_end(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    return (ack(digest) for digest in [next(server.digests(requests))] for ack in repeat(verified))


def _never_durable(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    yield from map(verified, server.digests(requests))
    until_ended(context)


@pytest.mark.parametrize(
    "acks", [_never, _read_and_never, _others, _others_without_end, _one_without_end, _never_durable]
)
def test_a_push_that_is_not_acknowledged_ends(
    hostile: HostileServer, sdk: Client, weights: Path, acks: Callable[..., Acks]
) -> None:
    hostile.upload = lambda requests, context: acks(hostile, requests, context)
    began = time.monotonic()
    with pytest.raises(wb.DeadlineExceeded, match=f"{hostile.address} moved nothing for {STALL_S:g} s"):
        sdk.push(MODEL, weights)
    assert time.monotonic() - began < 10
    assert hostile.calls == ["abort"]
    if acks is _read_and_never:
        tries = len(hostile.received) / 16
        assert tries == int(tries), "the credit of 32 MiB in each try, and no more"
        assert len(set(hostile.received)) == 16


def _twice(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    for digest in server.digests(requests):
        yield from (verified(digest, digest), verified(digest), durable(digest, digest), durable(digest))


def _durable_first(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    for digest in server.digests(requests):
        yield from (durable(digest), verified(digest))


def _durable_only(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    yield from map(durable, server.digests(requests))


@pytest.mark.parametrize("acks", [_twice, _durable_first, _durable_only])
def test_acks_in_a_strange_order_harm_nothing(
    hostile: HostileServer, sdk: Client, weights: Path, acks: Callable[..., Acks]
) -> None:
    hostile.upload = lambda requests, context: acks(hostile, requests, context)
    assert sdk.push(MODEL, weights).chunks_sent == 17
    assert len(set(hostile.received)) == 17


def test_an_upload_that_is_ended_early_again_and_again_goes_on_with_the_rest(
    hostile: HostileServer, sdk: Client, weights: Path
) -> None:
    """With status OK, as if everything had been taken, after three chunks each time."""

    def upload(requests: Any, context: grpc.ServicerContext) -> Acks:
        for digest, _ in zip(hostile.digests(requests), range(3), strict=False):
            yield from (verified(digest), durable(digest))

    hostile.upload = upload
    assert sdk.push(MODEL, weights).chunks_total == 17
    assert len(set(hostile.received)) == 17
    assert hostile.calls == ["commit"]


def test_an_upload_that_is_ended_at_once_is_never_committed(hostile: HostileServer, sdk: Client, weights: Path) -> None:
    """With status OK, as if everything had been taken."""
    hostile.upload = lambda requests, context: iter([])
    began = time.monotonic()
    with pytest.raises(errors.StorageFailed, match=f"{hostile.address} ended an upload before"):
        sdk.push(MODEL, weights)
    assert time.monotonic() - began < RETRY_S + 5
    assert hostile.calls == ["abort"]


def test_only_what_was_asked_is_sent(hostile: HostileServer, sdk: Client, weights: Path) -> None:
    hostile.find_missing = lambda request: [os.urandom(32), b"short", b"", *request.digests[1:2], *request.digests[1:2]]
    pushed = sdk.push(MODEL, weights)
    assert (pushed.chunks_sent, pushed.chunks_total) == (1, 17)
    assert len(hostile.received) == 1


def test_a_manifest_that_is_never_taken_ends_the_push(hostile: HostileServer, sdk: Client, weights: Path) -> None:
    def put(requests: Any, context: grpc.ServicerContext) -> Any:
        until_ended(context)

    hostile.put = put
    with pytest.raises(wb.DeadlineExceeded, match=f"{hostile.address} moved nothing for {STALL_S:g} s"):
        sdk.push(MODEL, weights)
    assert hostile.calls == ["abort"]


def test_a_push_to_a_server_that_is_gone_ends_in_time(hostile: HostileServer, sdk: Client, weights: Path) -> None:
    def gone(request: Any) -> Any:
        hostile.stop()

    hostile.find_missing = gone
    began = time.monotonic()
    with pytest.raises(wb.Unavailable):
        sdk.push(MODEL, weights)
    assert time.monotonic() - began < RETRY_S + 2


@pytest.mark.parametrize(
    "lies",
    [
        {"model": "x.y.z", "ref": "x.y.z:1"},
        {"ref": "a.b.c:2"},
        {"version": 2},
        {"manifest_digest": "b3:" + "0" * 64},
        {"manifest_digest": "garbage"},
    ],
)
def test_a_commit_of_something_else_is_data_loss(
    hostile: HostileServer, sdk: Client, weights: Path, lies: dict[str, Any]
) -> None:
    hostile.commit = lambda request: hostile.content.version(**{"manifest_digest": request.manifest_digest, **lies})
    with pytest.raises(wb.DataLoss):
        sdk.push(MODEL, weights)


# -- answers of one message ------------------------------------------------------------------------


def test_garbage_in_place_of_a_digest_is_the_servers_fault(hostile: HostileServer, sdk: Client) -> None:
    hostile.resolve = lambda request: versions_pb2.ResolveVersionResponse(ref=REF, manifest_digest="x" * 10**6)
    with pytest.raises(wb.DataLoss, match="the server sent 'xxx") as caught:
        sdk.resolve(REF)
    assert len(caught.value.message) < 300


def test_a_stage_of_a_later_release_is_named(hostile: HostileServer, sdk: Client, honest: Content) -> None:
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(versions=[honest.version(stage=99)])
    with pytest.raises(errors.Unimplemented, match=r"'a\.b\.c:1' is in stage 99"):
        list(sdk.versions(MODEL))


def test_a_relation_of_a_later_release_is_not_taken_for_another(
    hostile: HostileServer, sdk: Client, honest: Content
) -> None:
    version = honest.version()
    version.record.parents.add(ref="a.b.c:7", relation=99)
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(versions=[version])
    with pytest.raises(wb.Unimplemented, match="relation 99"):
        list(sdk.versions(MODEL))


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 253_402_300_800])
def test_a_time_that_is_none_is_the_servers_fault(
    hostile: HostileServer, sdk: Client, honest: Content, seconds: int
) -> None:
    version = honest.version()
    version.created_time.seconds = seconds
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(versions=[version])
    with pytest.raises(wb.DataLoss, match="a time that is none"):
        list(sdk.versions(MODEL))


@pytest.mark.parametrize("tokens", [["same"] * 9, ["a", "b", "c"] * 3, ["a", "b", "a", "b"]])
def test_pages_that_lead_back_end_with_an_error(
    hostile: HostileServer, sdk: Client, honest: Content, tokens: list[str]
) -> None:
    rest = iter(tokens)
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(
        versions=[honest.version()], next_page_token=next(rest)
    )
    with pytest.raises(errors.InternalError, match="lists its versions without end"):
        list(sdk.versions(MODEL))
    rest = iter(tokens)
    hostile.list_models = lambda request: models_pb2.ListModelsResponse(
        models=[models_pb2.Model(name=MODEL)], next_page_token=next(rest)
    )
    with pytest.raises(errors.InternalError, match="lists its models without end"):
        list(sdk.models())


def test_empty_pages_without_end_are_an_error(hostile: HostileServer, sdk: Client) -> None:
    numbers = count()
    hostile.list_models = lambda request: models_pb2.ListModelsResponse(next_page_token=str(next(numbers)))
    with pytest.raises(errors.InternalError, match="lists its models without end"):
        list(sdk.models())


def test_a_list_of_files_ends_at_the_limit(hostile: HostileServer, sdk: Client, honest: Content) -> None:
    hostile.manifest = lambda request, context: _headed(honest, repeat(entry(ONE)))
    with pytest.raises(errors.LimitExceeded, match="20001 files"):
        list(sdk.files(REF))
