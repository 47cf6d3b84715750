"""A serving node that follows an alias: the new version beside the old, handed over, reported, the old let go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunningServer

PATIENCE_S = 60


class Node:
    """A serving process's side: what took over, in order."""

    def __init__(self) -> None:
        self.swaps: list[wb.Swap] = []
        self.errors: list[Exception] = []
        self.refused: set[int] = set()
        self._changed = threading.Condition()

    def take(self, swap: wb.Swap) -> None:
        """Takes a version into use, or refuses to."""
        if swap.version in self.refused:
            raise RuntimeError(f"version {swap.version} gives wrong answers")
        assert (swap.path / "weights.bin").read_text().endswith(f" {swap.version}")
        with self._changed:
            self.swaps.append(swap)
            self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """Is told of a failure."""
        with self._changed:
            self.errors.append(error)
            self._changed.notify_all()

    def until(self, condition: Callable[[], object]) -> None:
        """Waits until something is so; what happens wakes it."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), (self.swaps, self.errors)


@pytest.fixture
def model(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> str:
    """A model of three versions."""
    return made(client, new_model(), tmp_path)


def made(client: wb.Client, name: str, folder: Path) -> str:
    """Pushes three versions, and has the alias ``live`` point at the first."""
    for n in range(1, 4):
        (folder / "weights.bin").write_text(f"{name} {n}")
        client.push(name, folder / "weights.bin", capture=False)
    client.set_alias(name, "live", 1)
    return name


def kept(folder: Path) -> list[str]:
    """The versions whose folders are there."""
    return sorted(path.name for path in folder.iterdir() if path.name.isdecimal())


def test_each_version_takes_over_and_is_reported_and_the_old_one_is_let_go(
    client: wb.Client, model: str, tmp_path: Path
) -> None:
    node, folder = Node(), tmp_path / "serving"
    with client.follow(f"{model}@live", node.take, folder, node="eu-7", on_error=node.fail) as follower:
        assert follower.wait(PATIENCE_S).ref == f"{model}:1"
        for number in (2, 1, 3):
            client.set_alias(model, "live", number)
            node.until(lambda number=number: node.swaps[-1].version == number)  # type: ignore[misc]
        node.until(lambda: follower.current == node.swaps[-1])
        assert [swap.version for swap in node.swaps] == [1, 2, 1, 3]
        assert [swap.previous_ref for swap in node.swaps] == ["", f"{model}:1", f"{model}:2", f"{model}:1"]
    assert kept(folder) == ["3"]
    assert node.errors == []
    assert list(client.deployments(model)) == []  # it retired
    reported = [event for event in client.events(model=model) if event.action.startswith("deployment.")]
    assert reported[0].action == "deployment.started"
    assert reported[-1].action == "deployment.retired"


def test_a_version_that_is_refused_leaves_the_old_one_running_and_reported(
    client: wb.Client, model: str, tmp_path: Path
) -> None:
    node, folder = Node(), tmp_path / "serving"
    node.refused = {2}
    with client.follow(f"{model}@live", node.take, folder, node="eu-8", on_error=node.fail) as follower:
        follower.wait(PATIENCE_S)
        client.set_alias(model, "live", 2)
        node.until(lambda: node.errors)
        assert str(node.errors[0]) == "version 2 gives wrong answers"
        assert follower.current is not None
        assert follower.current.version == 1
        assert (folder / "1" / "weights.bin").exists()
        client.set_alias(model, "live", 3)
        node.until(lambda: node.swaps[-1].version == 3)
    assert [swap.version for swap in node.swaps] == [1, 3]
    assert kept(folder) == ["3"]


def test_an_alias_that_is_removed_leaves_what_runs(client: wb.Client, model: str, tmp_path: Path) -> None:
    node = Node()
    with client.follow(f"{model}@live", node.take, tmp_path / "serving", node="eu-9") as follower:
        follower.wait(PATIENCE_S)
        client.delete_alias(model, "live")
        client.set_alias(model, "live", 2)
        node.until(lambda: node.swaps[-1].version == 2)
    assert [swap.previous_ref for swap in node.swaps] == ["", f"{model}:1"]


@pytest.mark.long
def test_a_follower_outlives_its_server(data_dir: Path, tmp_path: Path) -> None:
    running = RunningServer(data_dir).start()
    again = RunningServer(data_dir, listen=running.address)
    node = Node()
    try:
        with running.connect() as client:
            for n in (1, 2):
                (tmp_path / "weights.bin").write_text(f"a.b.c {n}")
                client.push("a.b.c", tmp_path / "weights.bin", capture=False)
            client.set_alias("a.b.c", "live", 1)
            with client.follow("a.b.c@live", node.take, tmp_path / "serving", node="eu-7") as follower:
                follower.wait(PATIENCE_S)
                running.kill()
                again.start()
                client.set_alias("a.b.c", "live", 2)
                node.until(lambda: node.swaps[-1].version == 2)
            assert list(client.deployments("a.b.c")) == []
    finally:
        running.stop()
        again.stop()


def test_what_cannot_be_followed_is_said(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> None:
    with pytest.raises(wb.InvalidReference, match="names no alias"):
        client.follow("a.b.c:7", print)
    with client.follow(f"{new_model()}@live", print, tmp_path / "serving") as follower, pytest.raises(wb.ModelNotFound):
        follower.wait(PATIENCE_S)


def test_waiting_for_what_never_comes_ends_in_time(client: wb.Client, model: str, tmp_path: Path) -> None:
    with client.follow(f"{model}@nothing", print, tmp_path / "s") as follower, pytest.raises(TimeoutError):
        follower.wait(0.1)
