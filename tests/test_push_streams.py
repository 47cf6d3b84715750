"""A push reads ahead and sends on two streams: each chunk once, few questions, right sums, and one stream is enough."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from hostile_server import Content, HostileServer
from pull_results import Sums, contents, folder_of, noise_files
from raw_client import PATIENCE_S, wait_until
from weighbridge.core.digest import chunk_digest
from weighbridge.core.limits import CHUNK_BYTES

NewModel = Callable[[], str]
Background = Callable[..., Future[Any]]
CHUNKS = 24
"""Far more than one stream takes while it is held up."""


class HeldUp(Sums):
    """Sums that hold the transfer up at given bytes, until the test lets it go on."""

    def __init__(self, *at_bytes: int) -> None:
        super().__init__()
        self._at = list(at_bytes)
        self._checking = threading.Lock()
        self.reached = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Waits where one of the points was passed; the transfer's other threads go on."""
        super().advance(raw_bytes, moved_bytes)
        with self._checking:
            held = bool(self._at) and self.raw_bytes >= self._at[0]
            if held:
                self._at.pop(0)
        if held:
            self.reached.release()
            assert self.go_on.acquire(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def narrow(session_dir: Path) -> Iterator[RunningServer]:
    """A server with a place for one transfer."""
    config = session_dir / "one-stream.toml"
    config.write_text("transfer_streams = 1\n")
    server = RunningServer(session_dir / "one-stream", ("--config", str(config))).start()
    yield server
    server.stop()


@pytest.fixture
def background() -> Iterator[Background]:
    """Runs a call in a thread; returns its future."""
    with ThreadPoolExecutor(2) as threads:
        yield threads.submit


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of many chunks that do not compress."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(CHUNKS * CHUNK_BYTES))
    return path


def calls(server: RunningServer, method: str) -> list[dict[str, Any]]:
    """The lines of a server's log that are about calls of a method."""
    return [line for line in server.log_lines() if line.get("method") == method]


# -- streams -----------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_transfer_gets_along_with_one_stream(
    narrow: RunningServer,
    new_model: NewModel,
    weights: Path,
    tmp_path: Path,
    background: Background,
    direction: str,
) -> None:
    """It opens a second one while the first runs, which the server refuses; that takes no patience."""
    model, progress = new_model(), HeldUp(1)
    method = "UploadChunks" if direction == "push" else "DownloadChunks"
    with wb.connect(narrow.address, retry_limit_s=0) as client:
        if direction == "pull":
            client.push(model, weights)
        before = len(calls(narrow, method))
        if direction == "push":
            running = background(client.push, model, weights, progress=progress)
        else:
            running = background(client.pull, model, tmp_path / "out", progress=progress)
        assert progress.reached.acquire(timeout=PATIENCE_S)
        refused = wait_until(lambda: calls(narrow, method)[before:])
        assert refused[0]["reason"] == "OVERLOADED"
        progress.go_on.release()
        running.result(PATIENCE_S)
        codes = [call["code"] for call in calls(narrow, method)[before:]]
        assert set(codes) == {"RESOURCE_EXHAUSTED", "OK"}
        assert codes.count("OK") <= 2, "one more stream, for what the refused one had taken on"
        assert progress.raw_bytes == progress.bytes_total == CHUNKS * CHUNK_BYTES
        out = client.pull(model, tmp_path / "out")
        assert contents(out) == {"weights.bin": weights.read_bytes()}


def test_the_command_line_gets_along_with_one_stream(
    narrow: RunningServer, run_cli: RunCli, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    model = new_model()
    assert run_cli("push", model, weights, "--json", address=narrow.address).code == 0
    pulled = run_cli("pull", model, tmp_path / "out", "--json", address=narrow.address)
    assert (pulled.code, pulled.json["chunks_received"]) == (0, CHUNKS)
    assert contents(tmp_path / "out") == {"weights.bin": weights.read_bytes()}


def test_a_small_push_opens_one_stream(server: RunningServer, client: wb.Client, new_model: NewModel) -> None:
    before = len(calls(server, "UploadChunks"))
    client.push(new_model(), __file__)
    wait_until(lambda: len(calls(server, "UploadChunks")) > before)
    assert len(calls(server, "UploadChunks")) == before + 1


def test_a_push_of_what_is_there_opens_none(
    server: RunningServer, client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    model = new_model()
    client.push(model, weights)
    before = len(calls(server, "UploadChunks"))
    progress = Sums()
    assert client.push(model, weights, progress=progress).chunks_sent == 0
    assert (progress.raw_bytes, progress.moved_bytes) == (CHUNKS * CHUNK_BYTES, 0)
    assert len(calls(server, "UploadChunks")) == before


# -- progress ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_progress_adds_up_to_the_files_although_chunks_were_sent_twice(
    own_server: RunningServer, weights: Path, tmp_path: Path, background: Background
) -> None:
    """A server that is killed loses what it had not made durable."""
    source = folder_of(tmp_path / "source", {**noise_files(20, 1000), "weights.bin": weights.read_bytes()})
    size = sum(map(len, contents(source).values()))
    progress = HeldUp(6 * CHUNK_BYTES, 16 * CHUNK_BYTES)
    own_server.listen = own_server.address
    with own_server.connect() as client:
        pushing = background(client.push, "a.b.c", source, progress=progress)
        for _ in range(2):
            assert progress.reached.acquire(timeout=PATIENCE_S)
            own_server.signal(signal.SIGKILL)
            own_server.start()
            progress.go_on.release()
        pushed = pushing.result(PATIENCE_S)
        assert (progress.files_total, progress.bytes_total, progress.raw_bytes) == (21, size, size)
        assert progress.moved_bytes == pushed.bytes_sent
        assert pushed.chunks_sent >= pushed.chunks_total == CHUNKS + 20
        assert contents(client.pull("a.b.c", tmp_path / "out")) == contents(source)


@pytest.mark.parametrize("kind", ["empty", "repeated", "known in part"])
def test_progress_adds_up_to_the_files(client: wb.Client, new_model: NewModel, tmp_path: Path, kind: str) -> None:
    model = new_model()
    files = noise_files(10, 1000)
    if kind == "empty":
        files |= {f"empty-{number}": b"" for number in range(10)}
    elif kind == "repeated":
        files |= {f"again-{name}": raw for name, raw in files.items()}
    else:
        client.push(model, folder_of(tmp_path / "before", dict(list(files.items())[:5])))
    progress = Sums()
    pushed = client.push(model, folder_of(tmp_path / "source", files), progress=progress)
    assert progress.files_total == len(files)
    assert progress.raw_bytes == progress.bytes_total == pushed.bytes_total == sum(map(len, files.values()))
    assert progress.moved_bytes == pushed.bytes_sent == (5000 if kind == "known in part" else 10_000)


# -- what is asked and sent --------------------------------------------------------------------------


@pytest.mark.long
def test_of_thousands_of_tiny_files_the_server_is_asked_a_few_times(
    server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    files = {f"{number % 50}/{number}.txt": f"{new_model()} {number}".encode() for number in range(4200)}
    before = len(calls(server, "FindMissingChunks"))
    pushed = client.push(new_model(), folder_of(tmp_path / "source", files))
    assert pushed.chunks_sent == pushed.chunks_total == 4200
    assert len(calls(server, "FindMissingChunks")) - before == 2


def test_of_a_large_file_the_server_is_asked_a_few_times(
    server: RunningServer, client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    before = len(calls(server, "FindMissingChunks"))
    client.push(new_model(), weights)
    assert len(calls(server, "FindMissingChunks")) - before == 2


def test_a_chunk_that_is_repeated_within_and_across_files_is_sent_once(tmp_path: Path) -> None:
    """In one window of chunks that are asked for together, and in later ones."""
    common, tail = os.urandom(CHUNK_BYTES), os.urandom(1000)
    source = folder_of(
        tmp_path / "source",
        {
            "a.bin": common * 20,
            "b.bin": common * 3 + tail,
            **{f"small-{number}": tail for number in range(50)},
            **noise_files(20, 1000),
        },
    )
    with HostileServer(Content()) as server, wb.connect(server.address) as client:
        pushed = client.push("a.b.c", source)
        assert pushed.chunks_total == 94
        assert len(server.received) == len(set(server.received)) == pushed.chunks_sent == 22
        assert {chunk_digest(common), chunk_digest(tail)} <= set(server.received)


def test_files_with_the_same_chunks_come_back_right(client: wb.Client, new_model: NewModel, tmp_path: Path) -> None:
    common, end, unit = os.urandom(CHUNK_BYTES), os.urandom(30), os.urandom(2048)
    source = folder_of(
        tmp_path / "source", {"a.bin": common * 9, "b.bin": common * 2 + end, "c.bin": end, "d.bin": unit * 5000}
    )
    pushed = client.push(new_model(), source)
    assert (pushed.chunks_sent, pushed.chunks_total) == (4, 18)
    pulled = client.pull_with_counts(pushed.version.ref, tmp_path / "out")
    assert (pulled.chunks_received, pulled.chunks_total) == (4, 18)
    assert contents(pulled.path) == contents(source)
