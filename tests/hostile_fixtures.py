"""The fixtures of the tests of a hostile server: a plugin of pytest, which those tests name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile_pulls import FILES, RETRY_S, STALL_S, Place
from hostile_server import Content, HostileServer
from weighbridge.client import Client
from weighbridge.wire.connection import Connection


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
    """A client of it, which soon gives up trying again."""
    with Client(Connection(hostile.address, None, retry_limit_s=RETRY_S)) as client:
        yield client


@pytest.fixture
def hasty(hostile: HostileServer) -> Iterator[Client]:
    """One that soon ends what stands still, too. Only where that is meant: a busy machine stands still by itself."""
    with Client(Connection(hostile.address, None, retry_limit_s=RETRY_S, stall_timeout_s=STALL_S)) as client:
        yield client


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
