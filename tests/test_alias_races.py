"""Races: of two that move a pointer one wins, and who reads one while it moves sees one holder, the right one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

import weighbridge as wb
from alias_fixtures import numbers_of, pushed, stages_of, to_production
from conftest import RunningServer

NewModel = Callable[[], str]
Result = TypeVar("Result")
RACERS = 8
SWAPS = 1000
Look = Callable[[wb.Client], tuple[int, str]]
"""What a reader sees of a pointer: the revision of its last move (0: not shown), and who holds it."""


def at_once(*calls: Callable[[], Result]) -> list[Result | wb.WeighbridgeError]:
    """What each call gives or raises, all begun in the same moment."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result | wb.WeighbridgeError:
        start.wait()
        try:
            return call()
        except wb.WeighbridgeError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


@pytest.mark.parametrize("racers", [2, RACERS])
def test_of_racers_on_an_alias_one_wins_and_the_others_get_what_it_set(
    server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path, racers: int
) -> None:
    model = pushed(client, new_model(), racers, tmp_path)
    clients = [server.connect() for _ in range(racers)]

    def racer(number: int, revision: int) -> Callable[[], wb.Alias]:
        return lambda: clients[number - 1].set_alias(model, "champion", number, expected_revision=revision)

    revision, winners = 0, []
    for _ in range(10):
        results = at_once(*(racer(number, revision) for number in range(1, racers + 1)))
        (won,) = [result for result in results if isinstance(result, wb.Alias)]
        lost = [result for result in results if isinstance(result, wb.RevisionConflict)]
        assert len(lost) == racers - 1
        assert {(loser.details["revision"], loser.details["value"]) for loser in lost} == {(str(won.revision), won.ref)}
        assert client.resolve(f"{model}@champion").revision == won.revision
        winners.append(won)
        # The next round begins where nobody points at what he sets: that would be no move.
        revision = client.set_alias(model, "champion", won.version, expected_revision=won.revision).revision
        client.delete_alias(model, "champion", expected_revision=revision)
        revision = 0
    for one in clients:
        one.close()
    moves = list(client.alias_history(f"{model}@champion"))
    assert numbers_of([move for move in moves if move.ref][::-1]) == [won.version for won in winners]


def test_racers_into_production_enter_one_after_the_other(
    server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    model = pushed(client, new_model(), RACERS, tmp_path)
    clients = [server.connect() for _ in range(RACERS)]

    def racer(number: int, stage: wb.Stage) -> Callable[[], wb.Promotion]:
        return lambda: clients[number - 1].promote(f"{model}:{number}", stage)

    results = at_once(*(racer(number, wb.Stage.STAGING) for number in range(1, RACERS + 1)))
    assert all(isinstance(result, wb.Promotion) for result in results), results
    entered = numbers_of(list(client.alias_history(f"{model}@staging")))[::-1]
    assert sorted(entered, key=str) == list(range(1, RACERS + 1))
    # Each displaced the one before it, whatever their order was.
    displaced = {result.version.version: result.displaced_ref for result in results if isinstance(result, wb.Promotion)}
    for number, before in zip(entered, [None, *entered], strict=False):
        assert number is not None
        assert displaced[number] == (f"{model}:{before}" if before else "")
    stages = stages_of(client, model)
    assert stages.pop(entered[-1] or 0) == "staging"
    assert set(stages.values()) == {"development"}
    for one in clients:
        one.close()


@pytest.mark.long
def test_moves_deletions_and_rollbacks_at_once_leave_one_truth(
    server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    model = pushed(client, new_model(), 4, tmp_path)
    to_production(client, model, 1, 2)
    name = f"{model}@production"

    def work(seed: int) -> None:
        with server.connect() as own:
            for turn in range(25):
                number = 1 + (seed + turn) % 4
                for call in (
                    lambda: own.promote(f"{model}:{number}", wb.Stage((*wb.Stage,)[(seed * turn) % 4])),  # noqa: B023
                    lambda: own.rollback(name, reason="race", to=number if turn % 2 else None),  # noqa: B023
                    lambda: own.set_alias(model, "champion", number),  # noqa: B023
                    lambda: own.delete_alias(model, "champion"),
                ):
                    with suppress(wb.WrongState, wb.AliasNotFound):
                        call()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    stages_of(client, model)
    for alias in client.aliases(model):
        (newest, *_) = client.alias_history(f"{model}@{alias.alias}")
        assert (newest.revision, newest.ref) == (alias.revision, alias.ref)
    moves = list(client.alias_history(name))
    assert [move.previous_ref for move in moves[:-1]] == [move.ref for move in moves[1:]]


def test_a_version_that_is_deleted_while_an_alias_goes_to_it_is_held_or_gone(
    server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    model = pushed(client, new_model(), 6, tmp_path)
    with server.connect() as other:
        for number in range(1, 7):
            pointed, deleted = at_once(
                lambda: client.set_alias(model, "champion", number),  # noqa: B023 - at once
                lambda: other.delete_version(f"{model}:{number}", reason="race"),  # noqa: B023
            )
            if isinstance(pointed, wb.Alias):
                assert isinstance(deleted, wb.VersionInUse)
                assert client.resolve(f"{model}@champion").version == number
                client.delete_alias(model, "champion")
            else:
                assert isinstance(pointed, wb.VersionDeleted)
                assert isinstance(deleted, wb.Version)
    assert client.aliases(model) == []


@pytest.mark.long
def test_a_reader_of_production_sees_one_holder_all_the_time(
    server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    model = pushed(client, new_model(), 3, tmp_path)
    name = f"{model}@production"
    to_production(client, model, 1, 2)
    over = threading.Event()
    moved = {move.revision: move.ref for move in client.alias_history(name)}

    def resolving(own: wb.Client) -> tuple[int, str]:
        resolved = own.resolve(name)
        return resolved.revision, resolved.ref

    def showing(own: wb.Client) -> tuple[int, str]:
        version = own.version(name)
        assert (version.stage, version.aliases) == ("production", ("production",))
        return 0, version.ref

    def listing(own: wb.Client) -> tuple[int, str]:
        (held,) = [version for version in own.versions(model) if version.stage == "production"]
        assert held.aliases == ("production",)
        return 0, held.ref

    def asking(own: wb.Client) -> tuple[int, str]:
        (held,) = [alias for alias in own.aliases(model) if alias.alias == "production"]
        return held.revision, held.ref

    def read(looks: Sequence[Look]) -> list[tuple[int, str]]:
        seen = []
        with server.connect() as own:
            while not over.is_set():
                seen += [look(own) for look in looks]
        return seen

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(read, looks) for looks in ([resolving], [asking, showing, listing])]
        try:
            for swap in range(SWAPS):
                holder = client.rollback(name, reason="swap", to=1 + swap % 2)
                moved[holder.revision] = holder.ref
        finally:
            over.set()
        seen = [reader.result() for reader in readers]
    assert all(len(looks) > SWAPS // 20 for looks in seen), [len(looks) for looks in seen]
    assert all({ref for _, ref in looks} == {f"{model}:1", f"{model}:2"} for looks in seen)
    # The revision and the holder that a reader sees are those of one move, and none sees an older one than before.
    for looks in seen:
        assert all(moved[revision] == ref for revision, ref in looks if revision)
        revisions = [revision for revision, _ in looks if revision]
        assert revisions == sorted(revisions)
        assert len(set(revisions)) > 10
    assert len(list(client.alias_history(name))) == SWAPS + 2
