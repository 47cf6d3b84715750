"""What a server that lies, and pulls that were killed, can do to the folder that is pulled into: nothing."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

import weighbridge as wb
from hostile_pulls import FILES, Chunks, Place, refused, stopping_after
from hostile_server import REF, Content, HostileServer, PullProcess, chunk_answer
from weighbridge.client import Client
from weighbridge.core import errors
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import chunk_digest
from weighbridge.core.manifest import FileManifest, file_manifest
from weighbridge.core.paths import PARTIAL_PREFIX
from weighbridge.v1 import versions_pb2
from weighbridge.wire.connection import Connection

pytest_plugins = ["hostile_fixtures"]

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


def _killed_pull(server: HostileServer, content: Content, place: Place) -> Path:
    """Kills a pull after five of eight chunks; returns the unfinished file."""
    server.download = stopping_after(content, 5)
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
    hostile: HostileServer,
    hasty: Client,
    place: Place,
    damage: str,
    received: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")  # it would have what the first try brought
    content = hostile.content = _large()
    honestly, hostile.download = hostile.download, stopping_after(content, 5)
    with pytest.raises(wb.DeadlineExceeded):
        hasty.pull(REF, place.dest)
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
    assert hasty.pull_with_counts(REF, place.dest).chunks_received == received
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
    first.download = stopping_after(content, 5)
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
