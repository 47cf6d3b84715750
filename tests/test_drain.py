"""Stopping and restarting under load: running transfers finish, clients carry on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import weighbridge as wb
from conftest import RunningServer

CHUNK = 2 * 1024 * 1024
PATIENCE_S = 60


class Checkpoints:
    """A progress that stops the transfer at given bytes until the test lets it go on."""

    def __init__(self, *at: int) -> None:
        self._at = list(at)
        self._done = 0
        self.reached = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def begin(self, files_total: int, bytes_total: int) -> None:
        """Nothing."""

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Stops at the next checkpoint."""
        self._done += raw_bytes
        if self._at and self._done >= self._at[0]:
            self._at.pop(0)
            self.reached.release()
            assert self.go_on.acquire(timeout=PATIENCE_S)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Thirty chunks that do not compress."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(30 * CHUNK))
    return path


@pytest.fixture
def background() -> Iterator[Callable[..., Any]]:
    """Runs a call in a thread; returns its future."""
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit


def restart(server: RunningServer, number: int) -> None:
    """Stops the server with a signal and starts it on the same address."""
    server.listen = server.address
    server.signal(number)
    server.start()


def health_of(address: str) -> int:
    """What the health service says."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status)


def wait_until(condition: Callable[[], bool]) -> None:
    """Asks again and again, for a while."""
    pause, deadline = threading.Event(), PATIENCE_S * 20
    for _ in range(deadline):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it never came to be")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_push_goes_on_over_two_restarts(
    own_server: RunningServer, weights: Path, tmp_path: Path, background: Callable[..., Any], number: int
) -> None:
    progress = Checkpoints(10 * CHUNK, 20 * CHUNK)
    own_server.arguments = ("--config", str(tmp_path / "short.toml"))
    (tmp_path / "short.toml").write_text("drain_s = 0.1\n")
    restart(own_server, signal.SIGTERM)
    with own_server.connect() as client:
        pushing = background(client.push, "a.b.c", weights, progress=progress)
        for _ in range(2):
            assert progress.reached.acquire(timeout=PATIENCE_S)
            restart(own_server, number)
            progress.go_on.release()
        assert pushing.result(PATIENCE_S).version.version == 1
        out = client.pull("a.b.c", tmp_path / "out")
        assert (out / "weights.bin").read_bytes() == weights.read_bytes()


@pytest.mark.long
def test_a_pull_goes_on_over_a_restart(
    own_server: RunningServer, weights: Path, tmp_path: Path, background: Callable[..., Any]
) -> None:
    progress = Checkpoints(5 * CHUNK)
    with own_server.connect() as client:
        client.push("a.b.c", weights)
        pulling = background(client.pull_with_counts, "a.b.c", tmp_path / "out", progress=progress)
        assert progress.reached.acquire(timeout=PATIENCE_S)
        restart(own_server, signal.SIGKILL)
        progress.go_on.release()
        pulled = pulling.result(PATIENCE_S)
        assert pulled.chunks_received == pulled.chunks_total  # nothing that was verified came twice
        assert (pulled.path / "weights.bin").read_bytes() == weights.read_bytes()


@pytest.mark.long
def test_a_running_upload_finishes_while_the_server_drains(
    own_server: RunningServer, weights: Path, background: Callable[..., Any]
) -> None:
    progress = Checkpoints(10 * CHUNK)
    own_server.listen = own_server.address
    with own_server.connect() as client:
        pushing = background(client.push, "a.b.c", weights, progress=progress)
        assert progress.reached.acquire(timeout=PATIENCE_S)
        assert own_server.process is not None
        own_server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: health_of(own_server.address) == health_pb2.HealthCheckResponse.NOT_SERVING)
        progress.go_on.release()
        assert own_server.ended() == 0
        own_server.start()
        pushed = pushing.result(PATIENCE_S)
        assert pushed.chunks_sent == pushed.chunks_total == 30  # all were acknowledged before the end
    codes = [line["code"] for line in own_server.log_lines() if line.get("method") == "UploadChunks"]
    assert set(codes) == {"OK"}


@pytest.mark.long
def test_a_second_signal_ends_it_at_once(
    own_server: RunningServer, weights: Path, background: Callable[..., Any]
) -> None:
    progress = Checkpoints(10 * CHUNK)
    with wb.connect(own_server.address, retry_limit_s=0.1) as client:
        pushing = background(client.push, "a.b.c", weights, progress=progress)
        assert progress.reached.acquire(timeout=PATIENCE_S)
        assert own_server.process is not None
        own_server.process.send_signal(signal.SIGINT)
        wait_until(lambda: health_of(own_server.address) == health_pb2.HealthCheckResponse.NOT_SERVING)
        assert own_server.signal(signal.SIGINT) == 0  # the upload still waits for its checkpoint
        progress.go_on.release()
        with pytest.raises(wb.Unavailable):
            pushing.result(PATIENCE_S)
    events = [line["event"] for line in own_server.log_lines()]
    assert events[-1] == "stopped"
