"""What a server whose manifests lie or never end can do to those who pull from it: nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import Any

import pytest

from hostile_pulls import FILES, GROWTH_MB, Place, refused
from hostile_server import MODEL, REF, Answers, Content, HostileServer, PullProcess
from weighbridge.client import Client
from weighbridge.core import errors
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import chunk_digest
from weighbridge.core.limits import CHUNK_BYTES, CHUNKS_PER_VERSION, FILES_PER_VERSION
from weighbridge.core.manifest import FileManifest, file_manifest
from weighbridge.v1 import transfer_pb2

pytest_plugins = ["hostile_fixtures"]

LONGEST_LIST_MB = 280
"""What a million chunks with their places take: measured to be 40 MB less."""

Message = transfer_pb2.GetManifestResponse


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


@pytest.mark.long
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


@pytest.mark.long
def test_the_longest_list_that_is_allowed_fits_in_memory(place: Place) -> None:
    """2 TiB of file, all digests different: what a version may have, and the most that a server can make us keep."""
    refs = [ChunkRef(number.to_bytes(32, "big"), CHUNK_BYTES) for number in range(CHUNKS_PER_VERSION)]
    with HostileServer(Content([file_manifest("x", refs)])) as server:
        server.download = lambda request, context: iter(())
        before = place.state()
        answer = PullProcess(server.address, place.dest).answer()
    assert (answer["reason"], place.state()) == ("DATA_LOSS", before)
    assert answer["growth_mb"] < LONGEST_LIST_MB


@pytest.mark.long
def test_a_list_of_files_ends_at_the_limit(hostile: HostileServer, sdk: Client, honest: Content) -> None:
    hostile.manifest = lambda request, context: _headed(honest, repeat(entry(ONE)))
    with pytest.raises(errors.LimitExceeded, match="20001 files"):
        list(sdk.files(REF))
