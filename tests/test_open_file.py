"""An open file of a version is a file like any other, and never gives a byte that was not pushed."""

from __future__ import annotations

import csv
import io
import os
import random
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

import weighbridge as wb
from conftest import RunningServer
from hostile_server import REF, Content, HostileServer, chunk_answer
from test_chunking_formats import npz_of
from test_damage import flip
from weighbridge.core.digest import Digest
from weighbridge.core.limits import CHUNK_BYTES

pytest_plugins = ["hostile_fixtures"]

Push = Callable[[str, bytes], str]

CUT = 70_000
"""Of the chunks here; what is read at once when little is asked for touches two or three of them."""

RAW = random.Random(1).randbytes(60 * CUT + 123)
BUFFER_CHUNKS = 3
AHEAD_CHUNKS = 8


@pytest.fixture
def honest() -> Content:
    """What the server holds: one large file among others."""
    return Content.of({"config.json": b"{}", "deep/big.bin": RAW, "empty": b""}, cut_bytes=CUT)


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the server is what is asked for."""
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "0")


@pytest.fixture
def push(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> Push:
    """Pushes one file as a version of a new model; returns its reference."""

    def push(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return client.push(new_model(), path).version.ref

    return push


def numbers(content: Content, asked: list[Digest]) -> list[int]:
    """Which chunks of the large file were asked for."""
    (file,) = [file for file in content.files if file.path == "deep/big.bin"]
    position = {chunk.digest: number for number, chunk in enumerate(file.chunks)}
    return [position[digest] for digest in asked]


# The same bytes as any file


near_cuts = st.builds(
    lambda chunk, beside: max(chunk * CUT + beside, 0), st.integers(0, 62), st.integers(-3, 3) | st.integers(0, CUT)
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), near_cuts, st.just(os.SEEK_SET)),
        st.tuples(st.just("seek"), st.integers(-3 * CUT, 3 * CUT), st.just(os.SEEK_CUR)),
        st.tuples(st.just("seek"), st.integers(-3 * CUT, 100), st.just(os.SEEK_END)),
        st.tuples(st.sampled_from(["read", "into", "line"]), st.integers(0, 10) | near_cuts),
        st.tuples(st.sampled_from(["read", "tell"])),
    ),
    min_size=1,
    max_size=12,
)


def result(file: Any, step: tuple[Any, ...]) -> Any:
    """What a step gives."""
    what, *arguments = step
    if what == "into":
        room = bytearray(arguments[0])
        return file.readinto(room), room
    try:
        return getattr(file, "readline" if what == "line" else what)(*arguments)
    except ValueError:  # before the first byte
        return "refused"


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_seeks_and_reads_give_what_they_give_of_memory(sdk: wb.Client, steps: list[tuple[Any, ...]]) -> None:
    memory = io.BytesIO(RAW)
    with sdk.open(REF, "deep/big.bin") as file:
        for step in steps:
            if step[0] == "seek" and step[2] == os.SEEK_CUR and memory.tell() + step[1] < 0:
                continue  # BytesIO stops at 0 where a file refuses
            if step[0] == "seek" and step[2] == os.SEEK_END and len(RAW) + step[1] < 0:
                continue
            assert result(file, step) == result(memory, step), step


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 9 << 20])
def test_files_of_every_size_around_a_chunks(client: wb.Client, push: Push, size: int) -> None:
    content = random.Random(size).randbytes(size)
    with client.open(push("weights.bin", content), "weights.bin") as file:
        assert file.size == size
        assert file.read() == content
        assert (file.read(), file.read(1), file.tell()) == (b"", b"", size)
        assert file.seek(-min(size, 10), os.SEEK_END) == size - min(size, 10)
        assert file.read() == content[-10:]
        file.seek(0)
        assert file.read(7) + file.read() == content
        file.seek(0)
        assert b"".join(iter(lambda: file.read(100_003), b"")) == content


def test_it_says_what_it_is(sdk: wb.Client) -> None:
    file = sdk.open("a.b.c", "deep/big.bin")
    assert (file.ref, file.path, file.size) == (REF, "deep/big.bin", len(RAW))
    assert (file.name, file.mode) == ("a.b.c:1/deep/big.bin", "rb")
    assert (file.readable(), file.seekable(), file.writable(), file.isatty()) == (True, True, False, False)
    assert repr(file) == f"<weighbridge.FileReader 'a.b.c:1/deep/big.bin', {len(RAW)} bytes>"


def test_lines_and_text_come_through_the_standard_library(client: wb.Client, push: Push) -> None:
    rows = [[str(number), "größe", "模" * (number % 50)] for number in range(30_000)]
    content = "".join(",".join(row) + "\r\n" for row in rows).encode()
    assert len(content) > CHUNK_BYTES
    ref = push("table.csv", content)
    with client.open(ref, "table.csv") as lines:
        assert list(lines) == content.splitlines(keepends=True)
    with io.TextIOWrapper(client.open(ref, "table.csv"), "utf-8", newline="") as text:
        assert list(csv.reader(text)) == rows


def test_what_reads_files_reads_these(client: wb.Client, push: Push) -> None:
    arrays: dict[str, NDArray[Any]] = {"w": numpy.arange(700_000, dtype="<f4"), "b": numpy.ones(3)}
    with client.open(push("arrays.npz", npz_of(arrays)), "arrays.npz") as file:
        loaded = numpy.load(file)
        assert all((loaded[name] == array).all() for name, array in arrays.items())
        assert zipfile.ZipFile(file).testzip() is None
    with client.open(push("m.safetensors", save_safetensors(arrays)), "m.safetensors") as file:
        assert (load_safetensors(file.read())["w"] == arrays["w"]).all()
    room = numpy.empty(700_000, "<f4")
    with client.open(push("raw", arrays["w"].tobytes()), "raw") as file:
        assert file.readinto(room.data) == room.nbytes
    assert (room == arrays["w"]).all()


# No more than is read, and what comes next


def test_only_the_chunks_that_are_read_come(sdk: wb.Client, hostile: HostileServer, honest: Content) -> None:
    with sdk.open(REF, "deep/big.bin") as file:
        assert hostile.asked == []
        for chunk in (50, 10, 30):
            file.seek(chunk * CUT + 5)
            assert file.read(10) == RAW[chunk * CUT + 5 :][:10]
        assert len(hostile.asked) <= 3 * BUFFER_CHUNKS
        assert {10, 30, 50} <= set(numbers(honest, hostile.asked)) <= {*range(10, 13), *range(30, 33), *range(50, 53)}


@pytest.mark.parametrize("size", [1000, 3 * CUT, 20 * CUT])
def test_read_in_order_each_chunk_comes_once(
    sdk: wb.Client, hostile: HostileServer, honest: Content, size: int
) -> None:
    with sdk.open(REF, "deep/big.bin") as file:
        assert b"".join(iter(lambda: file.read(size), b"")) == RAW
    assert sorted(numbers(honest, hostile.asked)) == list(range(61))


def test_what_comes_ahead_is_bounded(sdk: wb.Client, hostile: HostileServer, honest: Content) -> None:
    ahead = 0
    with sdk.open(REF, "deep/big.bin") as file:
        while piece := file.read(1000):
            wanted = (file.tell() - len(piece)) // CUT + BUFFER_CHUNKS
            ahead = max(ahead, max(numbers(honest, hostile.asked)) - wanted)
    assert 0 < ahead <= AHEAD_CHUNKS


def test_memory_does_not_grow_with_the_file(client: wb.Client, push: Push) -> None:
    size = 48 * CHUNK_BYTES
    ref = push("big.bin", numpy.arange(size // 4, dtype="<u4").tobytes())
    with client.open(ref, "big.bin") as file:
        file.read(1)  # imports
        tracemalloc.start()
        try:
            while file.read(1 << 16):
                pass
            _, in_pieces = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            file.seek(0)
            assert len(file.read()) == size
            _, at_once = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert in_pieces < 24 * CHUNK_BYTES
    assert at_once < size + 24 * CHUNK_BYTES


def test_the_cache_of_chunks_is_read_and_not_filled(
    sdk: wb.Client,
    hostile: HostileServer,
    honest: Content,
    tmp_path: Path,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "1GB")
    with sdk.open(REF, "deep/big.bin") as file:
        assert file.read() == RAW
    assert not list(cache_dir.rglob("*"))
    hostile.asked.clear()
    sdk.pull(REF, tmp_path / "out", include=["deep/big.bin"])
    with sdk.open(REF, "deep/big.bin") as file:
        assert file.read() == RAW
    assert len(hostile.asked) == 61
    damaged = cache_dir / "chunks" / hostile.asked[7].hex()[:2] / hostile.asked[7].hex()[2:]
    flip(damaged, 1000)
    with sdk.open(REF, "deep/big.bin") as file:
        assert file.read() == RAW
    assert hostile.asked[61:] == [hostile.asked[7]]


# Which version, which file


def test_it_stays_the_version_that_it_was_opened_as(client: wb.Client, push: Push, tmp_path: Path) -> None:
    contents = [random.Random(seed).randbytes(CHUNK_BYTES + 10) for seed in range(2)]
    model = push("weights.bin", contents[0]).partition(":")[0]
    with client.open(model, "weights.bin") as file:
        half = file.read(100)
        (tmp_path / "weights.bin").write_bytes(contents[1])
        client.push(model, tmp_path / "weights.bin")
        assert half + file.read() == contents[0]
        assert file.ref == f"{model}:1"
    with client.open(model, "weights.bin") as file:
        assert (file.ref, file.read()) == (f"{model}:2", contents[1])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("deep/bog.bin", "a.b.c:1 has no file 'deep/bog.bin'; close to it are 'deep/big.bin'"),
        ("deep", "a.b.c:1 has no file 'deep'; "),
        ("????", "it has 'config.json', 'deep/big.bin', 'empty'"),
    ],
)
def test_a_file_that_is_not_there(sdk: wb.Client, path: str, said: str) -> None:
    with pytest.raises(wb.FileNotInVersion) as missing:
        sdk.open(REF, path)
    assert said in missing.value.message
    assert missing.value.details == {"ref": REF, "path": path}


def test_references_are_checked(client: wb.Client, push: Push) -> None:
    ref = push("a", b"1")
    for wrong, cls in {"mixed": wb.InvalidName, ref + "9": wb.VersionNotFound, "a.b.absent": wb.ModelNotFound}.items():
        with pytest.raises(cls):
            client.open(wrong, "a")


def test_once_closed_it_is_closed(sdk: wb.Client) -> None:
    with sdk.open(REF, "deep/big.bin") as file:
        file.read(10)
    file.close()
    uses: list[Callable[[], object]] = [file.read, file.readline, file.tell, file.peek, file.readable, file.__enter__]
    uses += [lambda: next(file), lambda: file.seek(0), lambda: file.readinto(bytearray(1))]
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            use()
    assert repr(file).endswith(", closed>")


def test_it_is_not_written(sdk: wb.Client) -> None:
    with sdk.open(REF, "config.json") as file:
        for use in (file.fileno, lambda: file.write(b"x"), lambda: file.truncate(0)):
            with pytest.raises(io.UnsupportedOperation):
                use()
        with pytest.raises(ValueError, match="-1 is before the file's first byte"):
            file.seek(-1)
        assert file.read() == b"{}"


# Several at once


def test_many_read_at_once(sdk: wb.Client) -> None:
    def read(seed: int) -> bool:
        chance = random.Random(seed)
        with sdk.open(REF, "deep/big.bin") as file:
            for _ in range(10):
                begin, size = chance.randrange(len(RAW)), chance.choice([1, 5000, 3 * CUT])
                file.seek(begin)
                if file.read(size) != RAW[begin : begin + size]:
                    return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(read, range(12)))


def test_threads_that_share_a_file_get_each_piece_once(sdk: wb.Client) -> None:
    with sdk.open(REF, "deep/big.bin") as file, ThreadPoolExecutor(6) as threads:
        reading = [threads.submit(lambda: list(iter(lambda: file.read(1000), b""))) for _ in range(6)]
        pieces = [piece for read in reading for piece in read.result()]
    assert sorted(pieces) == sorted(RAW[start : start + 1000] for start in range(0, len(RAW), 1000))


# Servers that lie or fail


@pytest.mark.parametrize("number", [0, 20, 60])
@pytest.mark.parametrize("size", [1000, len(RAW)])
def test_a_wrong_chunk_is_data_loss_by_name_and_the_others_are_read(
    sdk: wb.Client, hostile: HostileServer, honest: Content, number: int, size: int
) -> None:
    wrong = honest.files[1].chunks[number].digest
    hostile.download = lambda request, context: (
        chunk_answer(honest.chunks[digest], **({"payload": bytes(CUT), "codec": 1} if digest == wrong else {}))
        for digest in request.digests
    )
    found = bytearray()
    with sdk.open(REF, "deep/big.bin") as file:
        with pytest.raises(wb.DataLoss, match=rf"a.b.c:1: file 'deep/big.bin', chunk {number}: ") as loss:
            while piece := file.read(size):
                found += piece
        assert (loss.value.details["path"], loss.value.details["chunk"]) == ("deep/big.bin", str(number))
        assert found == RAW[: len(found)]
        assert len(found) <= number * CUT
        if size < CUT and number:  # all but what would have come with the wrong chunk
            assert len(found) > (number - BUFFER_CHUNKS) * CUT
        after = min((number + 1) * CUT, len(RAW) - 10) if number < 60 else 0
        file.seek(after)
        assert file.read(10) == RAW[after : after + 10]


def test_a_manifest_that_lies_opens_nothing(sdk: wb.Client, hostile: HostileServer, honest: Content) -> None:
    hostile.manifest = lambda request, context: iter([honest.header(), *list(honest.listed())[:-1]])
    with pytest.raises(wb.DataLoss, match="sent a wrong manifest of a"):
        sdk.open(REF, "deep/big.bin")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_stream_that_fails_now_and_then_is_taken_up_again(sdk: wb.Client, hostile: HostileServer, code: Any) -> None:
    honestly, failed = hostile.download, threading.Semaphore(4)

    def fails_at_first(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        answers = honestly(request, context)
        yield next(answers)
        if failed.acquire(blocking=False):
            context.abort(code, "not now")
        yield from answers

    hostile.download = fails_at_first
    with sdk.open(REF, "deep/big.bin") as file:
        assert b"".join(iter(lambda: file.read(CUT), b"")) == RAW


def test_a_server_that_is_gone_is_said_to_be(sdk: wb.Client, hostile: HostileServer) -> None:
    with sdk.open(REF, "deep/big.bin") as file:
        assert file.read(10) == RAW[:10]
        hostile.stop()
        assert file.read(1000) == RAW[10:1010]  # is here
        file.seek(30 * CUT)
        with pytest.raises(wb.Unavailable, match=hostile.address):
            file.read(1)


@pytest.mark.long
def test_a_damaged_store_is_data_loss_by_name(own_server: RunningServer, tmp_path: Path) -> None:
    content = random.Random(5).randbytes(2 * CHUNK_BYTES)
    (tmp_path / "weights.bin").write_bytes(content)
    with own_server.connect() as client:
        ref = client.push("a.b.c", tmp_path / "weights.bin").version.ref
        (pack,) = (own_server.data / "packs").rglob("*.pack")
        flip(pack, pack.read_bytes().find(content[-100:]))
        with client.open(ref, "weights.bin") as file:
            assert file.read(CHUNK_BYTES) == content[:CHUNK_BYTES]
            with pytest.raises(wb.DataLoss, match=rf"{ref}: file 'weights.bin', chunk 1: "):
                file.read(1)
