"""Watching: how an alias stands, then each of its moves, once and in order, whatever happens to the connection."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import WEIGHBRIDGE, RunningServer

MOVES = 40


def versions(client: wb.Client, model: str, path: Path, count: int) -> None:
    """Pushes small versions."""
    for n in range(count):
        path.write_text(f"{model} {n}")
        client.push(model, path, capture=False)


@pytest.fixture
def model(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> str:
    """A model of two versions."""
    name = new_model()
    versions(client, name, tmp_path / "weights.bin", 2)
    return name


def taken(changes: Iterator[wb.Change], count: int) -> list[wb.Change]:
    """The next few."""
    return list(itertools.islice(changes, count))


def test_how_it_stands_comes_first_then_each_move(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1)
    watch = client.watch(f"{model}@champion")
    (stands,) = taken(watch, 1)
    assert (stands.present, stands.ref, stands.alias, stands.version) == (True, f"{model}:1", "champion", 1)
    client.set_alias(model, "other", 1)
    client.set_alias(model, "champion", 2, reason="better")
    client.delete_alias(model, "champion")
    moved, gone = taken(watch, 2)
    assert (moved.present, moved.action, moved.ref, moved.previous_ref) == (
        False,
        "alias.set",
        f"{model}:2",
        f"{model}:1",
    )
    assert (moved.reason, gone.action, gone.ref, gone.version) == ("better", "alias.deleted", "", None)
    assert moved.revision > stands.revision


def test_an_alias_that_is_not_there_yet_is_waited_for(client: wb.Client, model: str) -> None:
    watch = client.watch(f"{model}@later")
    reader = threading.Thread(target=lambda: found.extend(taken(watch, 1)))
    found: list[wb.Change] = []
    reader.start()
    client.set_alias(model, "later", 2)
    reader.join(30)
    assert [change.ref for change in found] == [f"{model}:2"]


def test_a_watch_goes_on_behind_a_revision(client: wb.Client, model: str) -> None:
    moves = [client.set_alias(model, "champion", 1 + n % 2).revision for n in range(6)]
    watch = client.watch(f"{model}@champion", after_revision=moves[2])
    assert [(change.revision, change.present) for change in taken(watch, 3)] == [(each, False) for each in moves[3:]]


def test_a_model_is_watched_with_all_that_happens_to_it(client: wb.Client, model: str, tmp_path: Path) -> None:
    client.set_alias(model, "a", 1)
    client.set_alias(model, "b", 2)
    watch = client.watch(model)
    assert {(change.alias, change.ref) for change in taken(watch, 2)} == {("a", f"{model}:1"), ("b", f"{model}:2")}
    versions(client, model, tmp_path / "more.bin", 1)
    (committed,) = taken(watch, 1)
    assert (committed.action, committed.ref, committed.alias) == ("version.committed", f"{model}:3", "")


def test_what_cannot_be_watched_is_refused(client: wb.Client, model: str) -> None:
    newest = max(event.revision for event in client.events(model=model))
    with pytest.raises(wb.InvalidReference, match="does not move"):
        client.watch(f"{model}:1")
    with pytest.raises(wb.RevisionAhead) as ahead:
        next(client.watch(f"{model}@a", after_revision=newest + 10**6))
    assert int(ahead.value.details["newest"]) >= newest
    with pytest.raises(wb.ModelNotFound):
        next(client.watch("not.there.yet@a"))


def test_many_watchers_see_every_move_once_and_in_order(client: wb.Client, server: RunningServer, model: str) -> None:
    client.set_alias(model, "champion", 1)
    seen: list[list[wb.Change]] = [[] for _ in range(50)]
    standing = threading.Barrier(len(seen) + 1)

    def follow(place: int) -> None:
        with server.connect() as own:
            watch = own.watch(f"{model}@champion")
            seen[place] += taken(watch, 1)
            standing.wait(60)
            seen[place] += taken(watch, MOVES)

    threads = [threading.Thread(target=follow, args=(place,)) for place in range(len(seen))]
    for thread in threads:
        thread.start()
    standing.wait(60)
    moves = [client.set_alias(model, "champion", 1 + n % 2, reason=str(n)).revision for n in range(1, MOVES + 1)]
    for thread in threads:
        thread.join(60)
    for changes in seen:
        assert [change.revision for change in changes[1:]] == moves


@pytest.mark.long
def test_a_server_that_is_killed_in_between_loses_nothing(data_dir: Path, tmp_path: Path) -> None:
    running = RunningServer(data_dir).start()
    again = RunningServer(data_dir, listen=running.address)
    try:
        with running.connect() as client, running.connect() as watching:
            versions(client, "a.b.c", tmp_path / "weights.bin", 2)
            first = client.set_alias("a.b.c", "champion", 1).revision
            seen: list[wb.Change] = []
            stands = threading.Event()

            def follow() -> None:
                for change in watching.watch("a.b.c@champion"):
                    seen.append(change)
                    stands.set()
                    if len(seen) == 1 + MOVES:
                        return

            reader = threading.Thread(target=follow)
            reader.start()
            assert stands.wait(30)
            moves = []
            for n in range(1, MOVES + 1):
                if n == MOVES // 2:
                    running.kill()
                    again.start()
                moves.append(client.set_alias("a.b.c", "champion", 1 + n % 2, reason=str(n)).revision)
            reader.join(60)
            assert [change.revision for change in seen] == [first, *moves]
    finally:
        running.stop()
        again.stop()


def test_the_command_line_prints_a_line_for_each_and_runs_a_command(
    client: wb.Client, server: RunningServer, model: str, tmp_path: Path
) -> None:
    client.set_alias(model, "champion", 1)
    ran = tmp_path / "ran"
    asks = shlex.join([*WEIGHBRIDGE, "resolve", "-q"])  # of the same server, which only the flag names
    command: tuple[str, ...] = (*WEIGHBRIDGE, "watch", f"{model}@champion", "--json", "--server", server.address)
    command += ("--exec", f'echo "$({asks} $WEIGHBRIDGE_REF) $WEIGHBRIDGE_ACTION" | tee -a {ran}; exit 3')
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = json.loads(process.stdout.readline())
        client.set_alias(model, "champion", 2)
        second = json.loads(process.stdout.readline())
        said = [process.stderr.readline() for _ in range(4)]
        process.terminate()
    assert [said[0], said[2]] == [f"{model}:1 alias.set\n", f"{model}:2 alias.set\n"], "not among the lines of JSON"
    assert ["the command ended with 3" in line for line in said] == [False, True, False, True]
    assert {"revision", "time", "action", "alias", "version", "ref"} <= first.keys()
    assert (first["present"], first["version"], second["present"], second["version"]) == (True, 1, False, 2)
    assert ran.read_text() == f"{model}:1 alias.set\n{model}:2 alias.set\n"
