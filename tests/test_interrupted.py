"""Ctrl-C ends a push or a pull at once, whatever it waits for, and leaves no thread behind that goes on with it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from hostile_server import MODEL, REF, Content, HostileServer, until_ended
from pull_results import contents
from raw_client import PATIENCE_S, wait_until
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import chunk_digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import file_manifest
from weighbridge.v1 import transfer_pb2

pytest_plugins = ["hostile_fixtures"]

FILES = {"weights.bin": os.urandom(40_000)}
WORKERS = "receive send hash read ask upload local stall metrics".split()


@pytest.fixture
def honest() -> Content:
    """Forty chunks: work for both connections."""
    return Content.of(FILES, cut_bytes=1000)


@pytest.fixture
def sdk(hostile: HostileServer) -> Iterator[wb.Client]:
    """A client that waits a minute for a server that stands still: as long as by default."""
    with wb.connect(hostile.address) as client:
        yield client


class CtrlC:
    """Presses Ctrl-C, once, as soon as it is called; the call then stands still."""

    def __init__(self) -> None:
        self._first = threading.Lock()
        self._over = threading.Event()

    def press(self) -> None:
        """What a terminal does."""
        if self._first.acquire(blocking=False):
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)

    def unary(self, *_: Any) -> Any:
        """A handler that never answers."""
        self.press()
        self._over.wait(PATIENCE_S * 2)

    def stream(self, request: Any, context: Any) -> Iterator[Any]:
        """The same of a call that streams answers."""
        self.press()
        until_ended(context)
        yield from ()

    def end(self) -> None:
        """Lets go of every handler."""
        self._over.set()


@pytest.fixture
def ctrl_c() -> Iterator[CtrlC]:
    ctrl_c = CtrlC()
    yield ctrl_c
    ctrl_c.end()


def nobody_works_on() -> bool:
    """Whether no thread of a push or a pull is left; asked within half the time that one would wait for the server."""
    names = [thread.name for thread in threading.enumerate()]
    return not [name for name in names if name.startswith(tuple(f"weighbridge-{worker}" for worker in WORKERS))]


@pytest.mark.parametrize("call", ["find_missing", "upload", "put", "commit"])
def test_a_push_ends_and_is_aborted(
    hostile: HostileServer, sdk: wb.Client, ctrl_c: CtrlC, tmp_path: Path, call: str
) -> None:
    (tmp_path / "weights.bin").write_bytes(os.urandom(6 * CHUNK_BYTES))
    setattr(hostile, call, ctrl_c.stream if call == "upload" else ctrl_c.unary)
    with pytest.raises(KeyboardInterrupt):
        sdk.push(MODEL, tmp_path / "weights.bin", capture=False)
    assert hostile.calls == [*(["commit"] if call == "commit" else []), "abort"]
    wait_until(nobody_works_on)


def test_a_push_that_is_hashed_ends(hostile: HostileServer, sdk: wb.Client, ctrl_c: CtrlC, tmp_path: Path) -> None:
    with (tmp_path / "weights.bin").open("wb") as file:
        file.truncate(2**40)  # many minutes of work, and no space: it is a hole

    def known(request: transfer_pb2.FindMissingChunksRequest) -> list[bytes]:
        ctrl_c.press()
        return []

    hostile.find_missing = known
    with pytest.raises(KeyboardInterrupt):
        sdk.push(MODEL, tmp_path / "weights.bin", capture=False)
    assert hostile.calls == ["abort"]
    wait_until(nobody_works_on)


@pytest.mark.parametrize("call", ["manifest", "download"])
def test_a_pull_ends_and_the_next_one_is_whole(
    hostile: HostileServer, sdk: wb.Client, ctrl_c: CtrlC, tmp_path: Path, call: str
) -> None:
    honestly = getattr(hostile, call)
    setattr(hostile, call, ctrl_c.stream)
    with pytest.raises(KeyboardInterrupt):
        sdk.pull(REF, tmp_path / "out")
    wait_until(nobody_works_on)
    setattr(hostile, call, honestly)
    assert contents(sdk.pull(REF, tmp_path / "out")) == FILES


def test_a_pull_that_looks_at_what_is_here_ends(sdk: wb.Client, hostile: HostileServer, tmp_path: Path) -> None:
    """Half a terabyte of it, a hole: minutes of work."""
    zeros = ChunkRef(chunk_digest(bytes(CHUNK_BYTES)), CHUNK_BYTES)
    hostile.content.files = [file_manifest("weights.bin", [zeros] * (2**39 // CHUNK_BYTES))]
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / "weights.bin").open("wb") as file:
        file.truncate(2**39)
    ctrl_c = CtrlC()

    def is_read() -> bool:
        found = []
        for entry in Path("/proc/self/fd").iterdir():
            try:
                found.append(str(entry.readlink()))
            except FileNotFoundError:
                continue
        return str(tmp_path / "out" / "weights.bin") in found

    def press_when_it_is_read() -> None:
        wait_until(is_read)
        ctrl_c.press()

    presser = threading.Thread(target=press_when_it_is_read)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        sdk.pull(REF, tmp_path / "out")
    presser.join()
    wait_until(nobody_works_on)


def test_a_load_ends(hostile: HostileServer, ctrl_c: CtrlC, tmp_path: Path) -> None:
    hostile.content = Content.of({"weights.npy": b"\x93NUMPY\x01\x00" + os.urandom(4000)}, cut_bytes=1000)
    hostile.download = ctrl_c.stream
    with wb.connect(hostile.address) as sdk, pytest.raises(KeyboardInterrupt):
        sdk.load(REF)
    wait_until(nobody_works_on)
