"""A follower goes on: whatever its caller's functions raise, whatever ends its watch, whoever closes what first."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import weighbridge as wb
from auth_fixtures import AskingWho, asking
from conftest import RunningServer
from raw_client import wait_until
from test_follow import PATIENCE_S, Node, made

__all__ = ["asking"]

LONG_S = 86_400
"""No report comes in between, whose errors would be told too."""


class Said(logging.Handler):
    """What followers log: what happens in their threads, and wakes who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        """Is given a message."""
        with self._changed:
            self._messages.append(record.getMessage())
            self._changed.notify_all()

    def until(self, *words: str, times: int = 1) -> None:
        """Waits until so many messages have all these words."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: sum(all(word in said for word in words) for said in self._messages) >= times, PATIENCE_S
            ), self._messages


@pytest.fixture
def said() -> Iterator[Said]:
    """Everything that is logged from here on."""
    said, log = Said(), logging.getLogger("weighbridge")
    before = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(said)
    yield said
    log.removeHandler(said)
    log.setLevel(before)


@pytest.fixture
def model(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> str:
    """A model of three versions, of which the alias is at the first."""
    return made(client, new_model(), tmp_path)


@contextmanager
def pulls_held(cache_dir: Path) -> Iterator[None]:
    """Inside the block no pull ends: each waits to keep its receipt."""
    receipts = cache_dir / "pulls"
    receipts.mkdir(exist_ok=True)
    fd = os.open(receipts, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(fd)


# -- what the caller's functions raise -----------------------------------------------------------


@pytest.mark.parametrize("raised", [RuntimeError("the pager is away"), SystemExit(1)], ids=["error", "exit"])
def test_an_on_error_that_fails_ends_nothing(
    client: wb.Client, model: str, tmp_path: Path, raised: BaseException
) -> None:
    node = Node()
    node.refused = {2}

    def fail(error: Exception) -> None:
        node.fail(error)
        raise raised

    with client.follow(f"{model}@live", node.take, tmp_path / "serving", on_error=fail) as follower:
        follower.wait(PATIENCE_S)
        client.set_alias(model, "live", 2)
        node.until(lambda: node.errors)
        client.set_alias(model, "live", 3)
        node.until(lambda: node.swaps[-1].version == 3)


def test_an_on_change_that_exits_has_failed_like_any_other(client: wb.Client, model: str, tmp_path: Path) -> None:
    node = Node()

    def take(swap: wb.Swap) -> None:
        if swap.version == 2:
            raise SystemExit("no such layer")
        node.take(swap)

    with client.follow(f"{model}@live", take, tmp_path / "serving", on_error=node.fail) as follower:
        follower.wait(PATIENCE_S)
        client.set_alias(model, "live", 2)
        node.until(lambda: node.errors)
        assert str(node.errors[0]) == "on_change raised SystemExit('no such layer')"
        assert isinstance(node.errors[0].__cause__, SystemExit)
        assert follower.wait(0).version == 1
        client.set_alias(model, "live", 3)
        node.until(lambda: node.swaps[-1].version == 3)
    assert [swap.version for swap in node.swaps] == [1, 3]


# -- what ends the watch -------------------------------------------------------------------------


@pytest.mark.long
def test_a_model_that_is_deleted_and_restored_is_followed_on(data_dir: Path, tmp_path: Path, said: Said) -> None:
    running = RunningServer(data_dir).start()
    again = RunningServer(data_dir, listen=running.address)
    elsewhere = RunningServer(data_dir)
    node = Node()
    try:
        with running.connect() as client:
            model = made(client, "a.b.c", tmp_path)
            with client.follow(
                f"{model}@live", node.take, tmp_path / "serving", ttl_s=LONG_S, on_error=node.fail
            ) as follower:
                follower.wait(PATIENCE_S)
                running.stop()
                # Where the follower does not see it: a watch that is under way does not end when its model is deleted.
                with elsewhere.start().connect() as other:
                    other.retire_deployment(node=platform.node())  # whose report, if it came in time, holds the model
                    other.delete_alias(model, "live")
                    other.delete_model(model, reason="a mistake")
                elsewhere.stop()
                again.start()
                said.until("begins again", "deleted", times=2)
                assert [type(error) for error in node.errors] == [wb.ModelDeleted]  # told once
                assert follower.wait(0).version == 1
                client.restore_model(model)
                client.set_alias(model, "live", 2)
                node.until(lambda: node.swaps[-1].version == 2)
    finally:
        running.stop()
        elsewhere.stop()
        again.stop()


@pytest.mark.long
def test_a_restored_backup_is_followed_on(data_dir: Path, tmp_path: Path) -> None:
    backup = data_dir.with_name(data_dir.name + "-backup")
    server = RunningServer(data_dir).start()
    server.listen = server.address
    node = Node()
    try:
        with server.connect() as client:
            model = made(client, "a.b.c", tmp_path)
            with client.follow(
                f"{model}@live", node.take, tmp_path / "serving", ttl_s=LONG_S, on_error=node.fail
            ) as follower:
                follower.wait(PATIENCE_S)
                server.stop()
                subprocess.run(["cp", "-a", data_dir, backup], check=True)
                server.start()
                client.set_alias(model, "live", 2)
                node.until(lambda: node.swaps[-1].version == 2)
                server.stop()
                shutil.rmtree(data_dir)
                backup.rename(data_dir)
                server.start()
                node.until(lambda: node.swaps[-1].version == 1)  # how the alias stands in the backup
                assert [type(error) for error in node.errors] == [wb.RevisionAhead]
                client.set_alias(model, "live", 3)
                node.until(lambda: node.swaps[-1].version == 3)
    finally:
        server.stop()
        shutil.rmtree(backup, ignore_errors=True)


@pytest.mark.long
def test_who_may_not_watch_for_a_moment_follows_on(asking: AskingWho, tmp_path: Path, said: Said) -> None:
    admin = asking.admin()
    model = made(admin, "fraud.for.a-moment", tmp_path)
    token = asking.token(("contributor", "fraud"), name="node")
    node = Node()
    with asking.connect(token.text).follow(
        f"{model}@live", node.take, tmp_path / "serving", ttl_s=LONG_S, on_error=node.fail
    ) as follower:
        follower.wait(PATIENCE_S)
        wait_until(lambda: list(admin.deployments(model)))  # or its first report is refused, too
        admin.revoke_grant("node", "contributor", "fraud")
        asking.server.stop()
        asking.server.listen = asking.server.address
        asking.server.start()
        said.until("begins again", times=2)
        admin.grant("node", "contributor", "fraud")
        admin.set_alias(model, "live", 2)
        node.until(lambda: node.swaps[-1].version == 2)
    assert [type(error) for error in node.errors] == [wb.PermissionDenied]


# -- who closes first ----------------------------------------------------------------------------


def test_a_client_that_is_closed_first_leaves_the_follower_to_go_on_and_retire(
    client: wb.Client, server: RunningServer, model: str, tmp_path: Path
) -> None:
    node = Node()
    with server.connect() as own:
        follower = own.follow(f"{model}@live", node.take, tmp_path / "serving", node="eu-7", on_error=node.fail)
        follower.wait(PATIENCE_S)
    with follower:
        client.set_alias(model, "live", 2)
        node.until(lambda: node.swaps[-1].version == 2)
    actions = [event.action for event in client.events(model=model) if event.action.startswith("deployment.")]
    assert actions[-1] == "deployment.retired"
    assert list(client.deployments(model)) == []
    assert node.errors == []


def test_every_call_of_a_closed_client_says_that_it_is_closed(
    server: RunningServer, client: wb.Client, model: str, tmp_path: Path
) -> None:
    closed = server.connect()
    begun = closed.begin(model, capture=False)
    file = closed.open(f"{model}:1", "weights.bin")
    closed.close()

    def commit() -> None:
        with begun:
            begun.add(tmp_path / "weights.bin")

    calls: dict[str, Callable[[], object]] = {
        "unary": lambda: closed.resolve(f"{model}:1"),
        "pages": lambda: list(closed.deployments()),
        "stream": lambda: next(closed.watch(f"{model}@live")),
        "pull": lambda: closed.pull(f"{model}:1", tmp_path / "pulled"),
        "push": lambda: closed.push(model, tmp_path / "weights.bin", capture=False),
        "read": file.read,
        "begun": commit,
        "follow": lambda: closed.follow(f"{model}@live", print, tmp_path / "serving"),
    }
    for name, call in calls.items():
        with pytest.raises(wb.UsageError, match="the client is closed; connect again"):
            print(name, call())
    assert not (tmp_path / "serving").exists()


def test_a_client_that_is_closed_during_its_calls_raises_errors_of_its_own(server: RunningServer, model: str) -> None:
    closed = server.connect()
    raised: list[BaseException] = []
    called = threading.Semaphore(0)

    def call_on() -> None:
        try:
            while True:
                closed.resolve(f"{model}:1")
                called.release()
        except BaseException as fault:  # noqa: BLE001 - what it is, is the question
            raised.append(fault)

    threads = [threading.Thread(target=call_on) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        called.acquire()
    closed.close()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(raised) == len(threads)
    assert {str(fault) for fault in raised} == {"the client is closed; connect again"}
    assert {type(fault) for fault in raised} == {wb.UsageError}


# -- what is pulled for nothing ------------------------------------------------------------------


def test_what_the_alias_has_left_meanwhile_is_not_handed_over(
    client: wb.Client, model: str, tmp_path: Path, cache_dir: Path, said: Said
) -> None:
    client.set_alias(model, "live", 2)
    node, folder = Node(), tmp_path / "serving"
    with client.follow(f"{model}@live", node.take, folder, on_error=node.fail) as follower:
        follower.wait(PATIENCE_S)
        with pulls_held(cache_dir):
            client.set_alias(model, "live", 1)
            said.until(f"{model}:1 is pulled")
            client.set_alias(model, "live", 2)
            said.until("now stands for", f"{model}:2", times=2)
        client.set_alias(model, "live", 3)
        node.until(lambda: node.swaps[-1].version == 3)
        with pulls_held(cache_dir):
            client.set_alias(model, "live", 1)
            said.until(f"{model}:1 is pulled", times=2)
            client.set_alias(model, "live", 2)
            said.until("now stands for", f"{model}:2", times=3)
        node.until(lambda: node.swaps[-1].version == 2)
    assert [swap.version for swap in node.swaps] == [2, 3, 2]
    assert node.errors == []
    assert [path.name for path in folder.iterdir() if path.name.isdecimal()] == ["2"]
