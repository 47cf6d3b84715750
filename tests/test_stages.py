"""Stages: a table of moves, one holder each of staging and production, and pointers that say the same as versions."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import weighbridge as wb
from alias_fixtures import TO_PRODUCTION, events_of, numbers_of, pushed, stages_of, to_production, where
from conftest import RunningServer
from raw_client import RawClient, refused
from storage_fixtures import MODEL, chunk, open_storage
from weighbridge.v1 import lifecycle_pb2, versions_pb2

NewModel = Callable[[], str]
DEVELOPMENT, STAGING, PRODUCTION, ARCHIVED = wb.Stage
ALLOWED = {
    DEVELOPMENT: [STAGING, ARCHIVED],
    STAGING: [PRODUCTION, DEVELOPMENT],
    PRODUCTION: [ARCHIVED],
    ARCHIVED: [DEVELOPMENT],
}
"""As lifecycle.proto has it."""
WAYS = {
    DEVELOPMENT: [],
    STAGING: [STAGING],
    PRODUCTION: [STAGING, PRODUCTION],
    ARCHIVED: [ARCHIVED],
}
"""How a new version comes to each stage."""


@pytest.fixture
def model(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """A model with two versions."""
    return pushed(client, new_model(), 2, tmp_path)


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    """Plain stubs on the shared server."""
    with RawClient(server.address) as raw:
        yield raw


# -- the moves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "wanted"), list(product(wb.Stage, wb.Stage)))
def test_a_version_moves_where_the_table_lets_it_and_is_told_where_that_is(
    client: wb.Client, model: str, stage: wb.Stage, wanted: wb.Stage
) -> None:
    ref = f"{model}:1"
    for step in WAYS[stage]:
        client.promote(ref, step)
    before = len(list(client.events(model=model)))
    if wanted in ALLOWED[stage]:
        would = client.promote(ref, wanted, dry_run=True)
        made = client.promote(ref, wanted)
        assert would.version == made.version
        assert (would.revision, made.version.stage, stages_of(client, model)[1]) == (0, wanted, wanted)
        return
    for dry_run in (True, False):
        with pytest.raises(wb.WrongState) as refusal:
            client.promote(ref, wanted, dry_run=dry_run)
        assert f"{ref} is in {stage}" in refusal.value.message
        assert f"it may go to {' or '.join(ALLOWED[stage])}" in refusal.value.message
        assert refusal.value.details["allowed"] == ", ".join(ALLOWED[stage])
        assert ("already" in refusal.value.message) is (stage == wanted)
    assert stages_of(client, model)[1] == stage
    assert len(list(client.events(model=model))) == before


def test_a_stage_is_known_by_its_name_and_no_other(client: wb.Client, model: str, raw: RawClient) -> None:
    for stage in ("live", "Production", ""):
        with pytest.raises(wb.UsageError, match="there are development, staging, production, archived"):
            client.promote(f"{model}:1", stage)
    for number in (versions_pb2.STAGE_UNSPECIFIED, 99):
        request = lifecycle_pb2.PromoteRequest(ref=f"{model}:1", stage=number)  # type: ignore[arg-type]
        assert refused(lambda: raw.lifecycle.Promote(request)).violations[0][0] == "stage"  # noqa: B023 - at once


def test_any_reference_is_promoted(client: wb.Client, model: str) -> None:
    assert client.promote(model, "staging").version.ref == f"{model}:2"
    assert client.promote(f"{model}@staging", "production").version.ref == f"{model}:2"
    client.set_alias(model, "next", 1)
    assert client.promote(f"{model}@next", "staging").version.ref == f"{model}:1"
    with pytest.raises(wb.AliasNotFound):
        client.promote(f"{model}@nope", "staging")
    with pytest.raises(wb.VersionNotFound):
        client.promote(f"{model}:3", "staging")


# -- one holder --------------------------------------------------------------------------------


def test_what_enters_staging_displaces_its_holder_to_development(client: wb.Client, model: str) -> None:
    client.promote(f"{model}:1", "staging")
    made = client.promote(f"{model}:2", "staging")
    assert (made.displaced_ref, made.displaced_stage) == (f"{model}:1", DEVELOPMENT)
    assert stages_of(client, model) == {1: DEVELOPMENT, 2: STAGING}
    assert made.revision == client.resolve(f"{model}@staging").revision


def test_what_enters_production_displaces_its_holder_to_archived(client: wb.Client, model: str) -> None:
    to_production(client, model, 1)
    client.promote(f"{model}:2", "staging")
    made = client.promote(f"{model}:2", "production")
    assert (made.displaced_ref, made.displaced_stage) == (f"{model}:1", ARCHIVED)
    assert stages_of(client, model) == {1: ARCHIVED, 2: PRODUCTION}
    assert made.revision == client.resolve(f"{model}@production").revision


def test_every_version_and_every_pointer_that_moves_has_its_event(client: wb.Client, model: str) -> None:
    to_production(client, model, 1)
    client.promote(f"{model}:2", "staging")
    seen = len(list(client.events(model=model)))
    client.promote(f"{model}:2", "production", reason="won")
    first, second, production, staging = (f"{model}{end}" for end in (":1", ":2", "@production", "@staging"))
    one, two = where(client, model, 1), where(client, model, 2)
    events = events_of(client, first, second, production, staging)[seen - 1 :]  # the model's own is not among them
    assert [(action, resource) for action, resource, _, _ in events] == [
        ("version.stage-changed", first),
        ("version.stage-changed", second),
        ("alias.cleared", staging),
        ("alias.promoted", production),
    ]
    left, entered, cleared, promoted = [(before, after) for _, _, before, after in events]
    assert left[0]["stage"] == entered[1]["stage"] == PRODUCTION
    assert left[1] == {**left[0], "stage": ARCHIVED, "reason": "won", "displaced_by": second}
    assert entered[1] == {**entered[0], "stage": PRODUCTION, "reason": "won"}
    assert {"version", "manifest_digest", "record_digest", "stage"} == set(entered[0])
    assert cleared == (two, {"reason": "won"})
    assert promoted == (one, {**two, "reason": "won"})


def test_archiving_what_is_in_production_leaves_it_empty(client: wb.Client, model: str) -> None:
    to_production(client, model, 1)
    made = client.promote(f"{model}:1", "archived", reason="retired")
    assert (made.displaced_ref, made.displaced_stage) == ("", None)
    assert made.revision in {event.revision for event in client.events(resource=f"{model}:1")}
    assert stages_of(client, model) == {1: ARCHIVED, 2: DEVELOPMENT}
    with pytest.raises(wb.AliasNotFound, match="is in production; 'weighbridge promote'"):
        client.resolve(f"{model}@production")
    newest = next(client.alias_history(f"{model}@production"))
    assert (newest.action, newest.ref, newest.previous_ref, newest.reason) == (
        "alias.cleared",
        "",
        f"{model}:1",
        "retired",
    )


def test_many_may_be_archived_or_in_development(client: wb.Client, new_model: NewModel, tmp_path: Path) -> None:
    model = pushed(client, new_model(), 4, tmp_path)
    to_production(client, model, 1, 2)
    client.promote(f"{model}:3", "archived")
    assert stages_of(client, model) == {1: ARCHIVED, 2: PRODUCTION, 3: ARCHIVED, 4: DEVELOPMENT}


def test_other_aliases_stay_where_they_are(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1)
    to_production(client, model, 1, 2)
    assert {alias.alias: alias.version for alias in client.aliases(model)} == {"champion": 1, "production": 2}
    client.set_alias(model, "old", 1)  # archived, and an alias may point at it
    assert client.version(f"{model}:1").aliases == ("champion", "old")


def test_the_database_itself_keeps_a_second_holder_out(empty_database: str, tmp_path: Path) -> None:
    with open_storage(empty_database, tmp_path / "packs") as storage:
        for seed in range(2):
            storage.push({"weights": [chunk(seed)]})
        storage.sql("UPDATE version SET stage = 'archived'")
        storage.sql("UPDATE version SET stage = 'production' WHERE number = 1")
        with pytest.raises(psycopg.errors.UniqueViolation):
            storage.sql("UPDATE version SET stage = 'production' WHERE number = 2")
        assert [version.version for version in storage.versions.list(MODEL, "", 0, "")[0]] == [2, 1]


MOVES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(wb.Stage)), max_size=12)


@pytest.mark.long
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_whatever_is_moved_stages_and_pointers_are_those_of_the_plain_rules(
    client: wb.Client, new_model: NewModel, moves: list[tuple[int, wb.Stage]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = pushed(client, new_model(), 3, Path(folder))
    stages = dict.fromkeys((1, 2, 3), DEVELOPMENT)
    for number, stage in moves:
        if stage not in ALLOWED[stages[number]]:
            with pytest.raises(wb.WrongState):
                client.promote(f"{model}:{number}", stage)
            continue
        displaced = next((held for held, other in stages.items() if other == stage in TO_PRODUCTION), None)
        made = client.promote(f"{model}:{number}", stage)
        if displaced is not None:
            stages[displaced] = DEVELOPMENT if stage == STAGING else ARCHIVED
        stages[number] = stage
        assert made.displaced_ref == (f"{model}:{displaced}" if displaced else "")
        assert stages_of(client, model) == stages
    said = {f"{model}:{number}": DEVELOPMENT for number in stages}
    for event in client.events(model=model, action="version.stage-changed"):
        assert json.loads(event.before)["stage"] == said[event.resource]
        said[event.resource] = json.loads(event.after)["stage"]
    assert said == {f"{model}:{number}": stage for number, stage in stages.items()}


# -- revisions, dry runs, second tries ---------------------------------------------------------


def test_who_promotes_unseen_is_told_who_holds_the_stage(client: wb.Client, model: str) -> None:
    first = client.promote(f"{model}:1", "staging", expected_revision=0)
    for expected in (0, first.revision + 1, first.revision - 1):
        for dry_run in (True, False):
            with pytest.raises(wb.RevisionConflict) as lost:
                client.promote(f"{model}:2", "staging", expected_revision=expected, dry_run=dry_run)
            assert lost.value.details["revision"] == str(first.revision)
            assert lost.value.details["value"] == f"{model}:1"
    second = client.promote(f"{model}:2", "staging", expected_revision=first.revision)
    with pytest.raises(wb.RevisionConflict):  # not that it is there already: who lost a race is told so
        client.promote(f"{model}:2", "staging", expected_revision=first.revision)
    assert second.displaced_ref == f"{model}:1"


def test_stages_that_many_hold_have_no_revision(client: wb.Client, raw: RawClient, model: str) -> None:
    with pytest.raises(wb.InvalidRequest) as refusal:
        client.promote(f"{model}:1", "archived", expected_revision=0, reason="\0")
    assert [violation.path for violation in refusal.value.violations] == ["reason", "expected_revision"]
    request = lifecycle_pb2.PromoteRequest(
        ref=f"{model}:1", stage=versions_pb2.STAGE_ARCHIVED, expected_revision=0, reason="\0"
    )
    violations = refused(lambda: raw.lifecycle.Promote(request)).violations
    assert [path for path, _ in violations] == ["reason", "expected_revision"]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(client: wb.Client, model: str) -> None:
    to_production(client, model, 1)
    client.promote(f"{model}:2", "staging")
    before = list(client.events(model=model))
    would = client.promote(f"{model}@staging", "production", dry_run=True, reason="won")
    assert (would.displaced_ref, would.displaced_stage, would.revision) == (f"{model}:1", ARCHIVED, 0)
    assert (would.version.stage, would.version.aliases) == (PRODUCTION, ("production",))
    assert list(client.events(model=model)) == before
    assert stages_of(client, model) == {1: PRODUCTION, 2: STAGING}
    made = client.promote(f"{model}@staging", "production", reason="won")
    assert (made.version, made.displaced_ref, made.displaced_stage) == (would.version, f"{model}:1", ARCHIVED)


def test_a_second_try_has_the_answer_of_the_first(client: wb.Client, raw: RawClient, model: str) -> None:
    client.promote(f"{model}:1", "staging")
    request = lifecycle_pb2.PromoteRequest(
        request_id=uuid.uuid4().hex, ref=model, stage=versions_pb2.STAGE_STAGING, reason="why"
    )
    first = raw.lifecycle.Promote(request)
    client.promote(f"{model}:1", "staging")
    again = raw.lifecycle.Promote(request)
    assert (again.revision, again.displaced_ref, again.version.ref) == (first.revision, f"{model}:1", f"{model}:2")
    assert numbers_of(list(client.alias_history(f"{model}@staging"))) == [1, 2, 1]
    request.reason = "another"
    assert refused(lambda: raw.lifecycle.Promote(request)).reason == "REQUEST_ID_REUSED"
    away = lifecycle_pb2.PromoteRequest(
        request_id=uuid.uuid4().hex, ref=f"{model}:2", stage=versions_pb2.STAGE_ARCHIVED
    )
    archived = raw.lifecycle.Promote(away)
    client.promote(f"{model}:2", "development")
    assert raw.lifecycle.Promote(away).revision == archived.revision
