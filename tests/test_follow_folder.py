"""The folder of a follower: nobody else's, and what is in it that is not the follower's own stays."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunningServer
from raw_client import wait_until
from test_follow import PATIENCE_S, Node, kept, made
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.paths import PARTIAL_PREFIX


@pytest.fixture
def model(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> str:
    """A model of three versions, of which the alias is at the first."""
    return made(client, new_model(), tmp_path)


def test_two_aliases_of_a_model_have_two_folders_by_default(
    client: wb.Client, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client.set_alias(model, "next", 2)
    one, other = Node(), Node()
    with (
        client.follow(f"{model}@live", one.take, node="a") as live,
        client.follow(f"{model}@next", other.take, node="b") as following,
    ):
        assert live.wait(PATIENCE_S).path == Path(model, "live", "1")
        assert following.wait(PATIENCE_S).path == Path(model, "next", "2")
        client.set_alias(model, "next", 3)
        other.until(lambda: other.swaps[-1].version == 3)
    assert (kept(Path(model, "live")), kept(Path(model, "next"))) == (["1"], ["3"])


def test_a_folder_has_one_follower_at_a_time(client: wb.Client, model: str, tmp_path: Path) -> None:
    folder = tmp_path / "serving"
    client.set_alias(model, "next", 2)
    with client.follow(f"{model}@live", print, folder) as follower:
        follower.wait(PATIENCE_S)
        with pytest.raises(wb.UsageError, match=f"another follower keeps its versions in {folder}"):
            client.follow(f"{model}@next", print, folder)
        assert follower.wait(0).path.exists()
    with client.follow(f"{model}@next", print, folder) as follower:
        assert follower.wait(PATIENCE_S).version == 2


def test_a_folder_that_cannot_be_made_is_said_at_once(client: wb.Client, model: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(wb.DestinationUnwritable, match=f"{tmp_path}/file/below cannot be written"):
        client.follow(f"{model}@live", print, tmp_path / "file" / "below")


def test_what_is_not_of_the_model_stays(
    client: wb.Client, model: str, new_model: Callable[[], str], tmp_path: Path
) -> None:
    folder = tmp_path / "serving"
    client.pull(f"{model}:3", folder / "3")  # by a follower that was killed, say
    (folder / "4" / f"{PARTIAL_PREFIX}0123").mkdir(parents=True)  # by one that was killed earlier in its pull
    shutil.copytree(folder / "3", folder / "2025")  # by hand: no receipt
    client.pull(f"{made(client, new_model(), tmp_path)}:1", folder / "7")
    (folder / "2").mkdir()
    (folder / "2" / "notes.txt").write_text("of mine")
    node = Node()
    with client.follow(f"{model}@live", node.take, folder) as follower:
        follower.wait(PATIENCE_S)
        client.set_alias(model, "live", 2)
        node.until(lambda: node.swaps[-1].version == 2)
        client.set_alias(model, "live", 1)
        node.until(lambda: node.swaps[-1].version == 1)
    assert kept(folder) == ["1", "2", "2025", "7"]
    assert (folder / "2" / "notes.txt").read_text() == "of mine"


class Stopping:
    """Stops a server in the moment in which a pull makes the first of its unfinished files."""

    def __init__(self) -> None:
        self.server: RunningServer | None = None

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """What Python tells of what is done."""
        if self.server is None or event != "open":
            return
        if PARTIAL_PREFIX in str(arguments[0]) and str(arguments[0]).endswith("/0"):
            assert self.server.process is not None
            self.server.process.send_signal(signal.SIGSTOP)
            self.server = None


@pytest.mark.long
def test_a_first_pull_that_is_closed_leaves_nothing(own_server: RunningServer, tmp_path: Path) -> None:
    stopping = Stopping()
    sys.addaudithook(stopping)
    folder, weights = tmp_path / "serving", tmp_path / "weights.bin"
    weights.write_bytes(bytes(range(256)) * (2 * CHUNK_BYTES // 256))
    with own_server.connect() as client:
        client.push("a.b.c", weights, capture=False)
        client.set_alias("a.b.c", "live", 1)
        stopping.server = own_server
        try:
            with client.follow("a.b.c@live", print, folder) as follower:
                wait_until(lambda: list(folder.glob(f"1/{PARTIAL_PREFIX}*/0")))
                assert follower.current is None
            assert kept(folder) == []
        finally:
            assert own_server.process is not None
            own_server.process.send_signal(signal.SIGCONT)
