"""Rollback: the last holder that was not itself rolled back from, further back each time, or one that is named."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import weighbridge as wb
from alias_fixtures import events_of, numbers_of, pushed, stages_of, to_production, where
from conftest import RunningServer
from raw_client import RawClient, refused
from storage_fixtures import MODEL, Storage, chunk, chunks, open_storage
from weighbridge.core.errors import DataLoss, WrongState
from weighbridge.v1 import lifecycle_pb2
from weighbridge_server.domain.lifecycle.aliases import Aliases
from weighbridge_server.domain.lifecycle.rollback import Rollbacks, last_holder
from weighbridge_server.domain.lifecycle.stages import Stages

NewModel = Callable[[], str]


@pytest.fixture
def model(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """A model with four versions."""
    return pushed(client, new_model(), 4, tmp_path)


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    """Plain stubs on the shared server."""
    with RawClient(server.address) as raw:
        yield raw


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


def rolled(client: wb.Client, model: str, alias: str = "production", to: int | None = None) -> int:
    """Where a rollback goes."""
    return client.rollback(f"{model}@{alias}", reason="bad", to=to).version


# -- the rule ----------------------------------------------------------------------------------


def test_a_rollback_restores_the_last_holder_and_a_second_one_goes_further_back(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2, 3)
    restored = client.rollback(f"{model}@production", reason="declines doubled")
    assert (restored.ref, restored.previous_ref, restored.reason) == (f"{model}:2", f"{model}:3", "declines doubled")
    assert restored.revision == client.resolve(f"{model}@production").revision
    assert stages_of(client, model) == {1: "archived", 2: "production", 3: "archived", 4: "development"}
    assert rolled(client, model) == 1
    assert stages_of(client, model) == {1: "production", 2: "archived", 3: "archived", 4: "development"}
    with pytest.raises(wb.WrongState) as refusal:
        rolled(client, model)
    assert f"all that held it before {model}:1 were rolled back from; it goes back to one" in refusal.value.message
    assert refusal.value.message.endswith(f" that is named: {model}:2, {model}:3")
    assert stages_of(client, model)[1] == "production"


def test_a_rollback_passes_over_what_was_rolled_back_from(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2)
    assert rolled(client, model) == 1
    to_production(client, model, 3)
    assert rolled(client, model) == 1


def test_what_is_put_there_again_is_no_longer_passed_over(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2)
    assert rolled(client, model) == 1
    client.promote(f"{model}:2", "development")
    to_production(client, model, 2, 3)
    assert rolled(client, model) == 2


def test_a_rollback_goes_to_a_version_that_is_named(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2, 3)
    assert rolled(client, model, to=1) == 1
    assert rolled(client, model, to=3) == 3  # rolled back from, but named
    to_production(client, model, 4)
    assert rolled(client, model) == 3
    with pytest.raises(wb.WrongState, match=f"it points at {model}:3 already"):
        rolled(client, model, to=3)


def test_a_version_that_never_held_it_is_refused(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2)
    client.promote(f"{model}:3", "staging")
    for number in (3, 4, 99):
        with pytest.raises(
            wb.WrongState, match=rf":{number} never held it; it goes back to one that is named: {model}:1$"
        ):
            rolled(client, model, to=number)
    assert stages_of(client, model) == {1: "archived", 2: "production", 3: "staging", 4: "development"}


def test_an_alias_of_ones_own_is_rolled_back_too(client: wb.Client, model: str) -> None:
    for number in (1, 2, 3):
        client.set_alias(model, "champion", number)
    assert [rolled(client, model, "champion") for _ in range(2)] == [2, 1]
    with pytest.raises(wb.WrongState):
        rolled(client, model, "champion")
    assert set(stages_of(client, model).values()) == {"development"}


def test_what_points_nowhere_goes_back_to_who_held_it_last(client: wb.Client, model: str) -> None:
    to_production(client, model, 1)
    client.promote(f"{model}:1", "archived")
    assert rolled(client, model) == 1
    assert stages_of(client, model)[1] == "production"
    client.set_alias(model, "champion", 2)
    client.delete_alias(model, "champion")
    assert rolled(client, model, "champion") == 2


def test_where_there_never_was_an_alias_nothing_is_rolled_back(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1)
    for alias in ("production", "staging", "other"):
        with pytest.raises(wb.AliasNotFound):
            rolled(client, model, alias)
    with pytest.raises(wb.WrongState, match=f"no version held it before {model}:1$"):
        rolled(client, model, "champion")


@dataclass
class Plain:
    """An alias by the plain rule, in words of its own: who left it, in order, and who of them was sent away."""

    present: int | None = None
    left: list[int] = field(default_factory=list)
    sent_away: set[int] = field(default_factory=set)

    def put(self, number: int | None, *, rollback: bool = False) -> None:
        """Another holds it now, or nobody."""
        if self.present is not None:
            self.left = [*(held for held in self.left if held != self.present), self.present]
            (self.sent_away.add if rollback else self.sent_away.discard)(self.present)
        self.present = number

    def target(self) -> int | None:
        """Where a rollback goes."""
        good = [held for held in self.left if held not in self.sent_away and held != self.present]
        return good[-1] if good else None


SET, ROLL, ROLL_TO, DELETE = "set", "roll", "roll to", "delete"
STEPS = st.lists(st.tuples(st.sampled_from([SET, SET, ROLL, ROLL, ROLL_TO, DELETE]), st.integers(1, 4)), max_size=14)


@settings(max_examples=500)
@given(steps=STEPS)
def test_the_rule_read_from_events_is_the_plain_rule(steps: list[tuple[str, int]]) -> None:
    plain = Plain()
    moves: list[wb.AliasMove] = []

    def move(action: str, number: int | None) -> None:
        ref, before = (f"a.b.c:{held}" if held else "" for held in (number, plain.present))
        moves.insert(0, wb.AliasMove(len(moves), datetime.now(UTC), "ada", f"alias.{action}", ref, before, "why"))
        plain.put(number, rollback=action == "rolled-back")

    for step, number in steps:
        expected = plain.target()
        present = f"a.b.c:{plain.present}" if plain.present else ""
        assert last_holder(moves, present) == (f"a.b.c:{expected}" if expected else None)
        if step == SET and number != plain.present:
            move("set", number)
        elif step == ROLL and expected is not None:
            move("rolled-back", expected)
        elif step == ROLL_TO and number in plain.left and number != plain.present:
            move("rolled-back", number)
        elif step == DELETE and plain.present is not None:
            move("deleted", None)


@pytest.mark.long
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_server_follows_the_plain_rule(client: wb.Client, model: str, steps: list[tuple[str, int]]) -> None:
    plain = Plain()
    alias = f"a{uuid.uuid4().hex}"
    points: list[int | None] = []
    for step, number in steps:
        to = number if step == ROLL_TO else None
        target = plain.target() if to is None else to if to in plain.left and to != plain.present else None
        if step == SET:
            client.set_alias(model, alias, number)
            moved = number != plain.present
            if moved:
                plain.put(number)
        elif step == DELETE:
            moved = plain.present is not None
            if moved:
                client.delete_alias(model, alias)
                plain.put(None)
            else:
                with pytest.raises(wb.AliasNotFound):
                    client.delete_alias(model, alias)
        elif moved := target is not None:
            assert rolled(client, model, alias, to) == target
            plain.put(target, rollback=True)
        else:
            with pytest.raises((wb.WrongState, wb.AliasNotFound)):
                rolled(client, model, alias, to)
        if moved:
            points.append(plain.present)
    there = {held.alias: held.version for held in client.aliases(model)}
    assert there.get(alias) == plain.present
    if points:
        assert numbers_of(list(client.alias_history(f"{model}@{alias}"))) == points[::-1]


# -- stages ------------------------------------------------------------------------------------


def test_a_rollback_of_staging_sends_its_holder_to_development(client: wb.Client, model: str) -> None:
    client.promote(f"{model}:1", "staging")
    client.promote(f"{model}:2", "staging")
    assert rolled(client, model, "staging") == 1
    assert stages_of(client, model) == {1: "staging", 2: "development", 3: "development", 4: "development"}


def test_what_is_restored_leaves_staging_for_production(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2)
    client.promote(f"{model}:1", "development")
    client.promote(f"{model}:1", "staging")
    assert rolled(client, model) == 1
    assert stages_of(client, model) == {1: "production", 2: "archived", 3: "development", 4: "development"}
    newest = next(client.alias_history(f"{model}@staging"))
    assert (newest.action, newest.ref, newest.previous_ref) == ("alias.cleared", "", f"{model}:1")


def test_a_rollback_of_staging_takes_nothing_out_of_production(client: wb.Client, model: str) -> None:
    to_production(client, model, 1)
    client.promote(f"{model}:2", "staging")
    for to in (None, 1):
        with pytest.raises(wb.WrongState) as refusal:
            rolled(client, model, "staging", to)
        assert [violation.path for violation in refusal.value.violations] == [f"{model}:1"]
        assert "is in production" in refusal.value.violations[0].message
    assert stages_of(client, model) == {1: "production", 2: "staging", 3: "development", 4: "development"}


def test_every_move_of_a_rollback_is_an_event(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2)
    first, second, production = f"{model}:1", f"{model}:2", f"{model}@production"
    before = len(events_of(client, first, second, production))
    client.rollback(production, reason="declines doubled")
    one, two = where(client, model, 1), where(client, model, 2)
    left, entered, moved = events_of(client, first, second, production)[before:]
    assert (left[0], entered[0], moved[0]) == ("version.stage-changed", "version.stage-changed", "alias.rolled-back")
    assert (left[1], left[2]["stage"], left[3]["stage"]) == (second, "production", "archived")
    assert left[3]["displaced_by"] == first
    assert (entered[1], entered[2]["stage"], entered[3]["stage"]) == (first, "archived", "production")
    assert left[3]["reason"] == entered[3]["reason"] == "declines doubled"
    assert moved[1:] == (production, two, {**one, "reason": "declines doubled", "rolled_back_from": second})


# -- what is refused ---------------------------------------------------------------------------


def test_a_deleted_version_is_not_restored(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2, 3)
    client.delete_version(f"{model}:2", reason="leaks")
    for to in (None, 2):
        with pytest.raises(wb.WrongState) as refusal:
            rolled(client, model, to=to)
        assert f"weighbridge version restore {model}:2" in refusal.value.violations[0].message
    assert stages_of(client, model)[3] == "production"
    assert rolled(client, model, to=1) == 1
    client.restore_version(f"{model}:2")
    assert rolled(client, model, to=2) == 2


def test_a_version_with_damaged_chunks_is_not_restored(storage: Storage) -> None:
    aliases, rollbacks = Aliases(storage.catalog), Rollbacks(storage.catalog)
    bad, good = chunks("bad", 2), [chunk("good")]
    storage.push({"bad.bin": bad, "good.bin": good, "also.bin": [bad[1], *good]})
    storage.push({"good.bin": good})
    for number in (1, 2):
        aliases.set("ada", "", MODEL, "champion", number, None, "")
    storage.damage(bad[1].digest)
    with pytest.raises(DataLoss):
        list(storage.store.get([bad[1].digest]))
    for to in (None, 1):
        with pytest.raises(WrongState) as refusal:
            rollbacks.roll_back("ada", "", MODEL, "champion", to, "bad", None)
        assert [violation.path for violation in refusal.value.violations] == ["also.bin", "bad.bin"]
        assert {violation.message for violation in refusal.value.violations} == {
            "has damaged chunks; push the file again to heal it"
        }
    storage.push({"bad.bin": bad})  # heals the chunk
    assert rollbacks.roll_back("ada", "", MODEL, "champion", None, "bad", None).version == 1


def test_everything_in_the_way_is_listed(storage: Storage) -> None:
    stages, rollbacks = Stages(storage.catalog), Rollbacks(storage.catalog)
    part = chunk("part")
    storage.push({"weights": [part]})
    storage.push({"other": [chunk("other")]})
    for number in (1, 2):
        for stage in (wb.Stage.STAGING, wb.Stage.PRODUCTION):
            stages.promote("ada", "", f"{MODEL}:{number}", stage, "", None)
    storage.sql("UPDATE chunk SET damaged = true WHERE digest = %s", part.digest)
    storage.sql(
        "UPDATE version SET deleted_time = now(), deleted_by = 'ada', deletion_reason = 'x' WHERE number = 1",
    )
    with pytest.raises(WrongState) as refusal:
        rollbacks.roll_back("ada", "", MODEL, "production", None, "bad", None)
    assert [violation.path for violation in refusal.value.violations] == [f"{MODEL}:1", "weights"]


def test_a_rollback_has_a_reason_and_everything_that_is_wrong_is_said(client: wb.Client, raw: RawClient) -> None:
    for reason in ("", " \n"):
        with pytest.raises(wb.InvalidRequest) as refusal:
            client.rollback("a.b.c@production", reason=reason, to=0, expected_revision=-1)
        assert [violation.path for violation in refusal.value.violations] == [
            "to_version",
            "expected_revision",
            "reason",
        ]
        request = lifecycle_pb2.RollbackRequest(model="a.b.c", alias="production", reason=reason)
        assert [path for path, _ in refused(lambda: raw.lifecycle.Rollback(request)).violations] == ["reason"]  # noqa: B023
    for name in ("a.b.c", "a.b.c:7", "a.b.c@A"):
        with pytest.raises(wb.InvalidReference):
            client.rollback(name, reason="bad")


def test_who_rolls_back_unseen_is_told_where_it_points(client: wb.Client, model: str) -> None:
    to_production(client, model, 1, 2)
    seen = client.resolve(f"{model}@production").revision
    restored = client.rollback(f"{model}@production", reason="bad", expected_revision=seen)
    with pytest.raises(wb.RevisionConflict) as lost:
        client.rollback(f"{model}@production", reason="bad", expected_revision=seen)
    assert (lost.value.details["revision"], lost.value.details["value"]) == (str(restored.revision), f"{model}:1")


def test_a_second_try_goes_no_further_back(client: wb.Client, raw: RawClient, model: str) -> None:
    to_production(client, model, 1, 2, 3)
    request = lifecycle_pb2.RollbackRequest(request_id=uuid.uuid4().hex, model=model, alias="production", reason="bad")
    first = raw.lifecycle.Rollback(request)
    assert raw.lifecycle.Rollback(request) == first
    assert (first.ref, client.resolve(f"{model}@production").ref) == (f"{model}:2", f"{model}:2")
    request.reason = "another"
    assert refused(lambda: raw.lifecycle.Rollback(request)).reason == "REQUEST_ID_REUSED"


@pytest.mark.long
def test_a_long_history_is_searched_to_its_beginning(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 4)
    for turn in range(220):
        client.set_alias(model, "champion", 1 + turn % 2)
    assert [rolled(client, model, "champion") for _ in range(2)] == [1, 4]
    with pytest.raises(wb.WrongState):
        rolled(client, model, "champion")
    assert rolled(client, model, "champion", 1) == 1
