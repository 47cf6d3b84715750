"""Aliases: names that move, with a revision that catches who moves them unseen, and a history that is the journal's."""

from __future__ import annotations

import string
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import weighbridge as wb
from alias_fixtures import TAGS, events_of, numbers_of, pushed, where
from conftest import RunningServer
from raw_client import RawClient, refused
from weighbridge.core.limits import ALIASES_PER_MODEL
from weighbridge.v1 import lifecycle_pb2

NewModel = Callable[[], str]


@pytest.fixture
def model(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """A model with three versions."""
    return pushed(client, new_model(), 3, tmp_path)


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    """Plain stubs on the shared server."""
    with RawClient(server.address) as raw:
        yield raw


# -- where one points --------------------------------------------------------------------------


def test_an_alias_is_a_reference_like_any_other(client: wb.Client, model: str, tmp_path: Path) -> None:
    made = client.set_alias(model, "champion", 2, reason="better on cards")
    assert (made.ref, made.version, made.previous_ref, made.reason) == (f"{model}:2", 2, "", "better on cards")
    resolved = client.resolve(f"{model}@champion")
    assert (resolved.ref, resolved.manifest, resolved.revision) == (made.ref, made.manifest, made.revision)
    assert client.version(f"{model}@champion").aliases == ("champion",)
    folder = client.pull(f"{model}@champion", tmp_path / "out")
    assert (folder / "weights.bin").read_text() == f"{model} 2"
    child = client.push(model, tmp_path / "out", parent=f"{model}@champion", tags=TAGS, capture=False)
    record = client.version(child.version.ref).record
    assert record is not None
    assert [parent.ref for parent in record.parents] == [made.ref]


def test_a_revision_is_that_of_the_last_move(client: wb.Client, model: str) -> None:
    first = client.set_alias(model, "champion", 1)
    other = client.set_alias(model, "other", 1)
    moved = client.set_alias(model, "champion", 3, reason="won")
    assert first.revision < other.revision < moved.revision
    assert (moved.previous_ref, moved.reason) == (f"{model}:1", "won")
    assert client.resolve(f"{model}@champion").revision == moved.revision
    assert client.aliases(model) == [moved, other]
    assert [version.aliases for version in client.versions(model)] == [("champion",), (), ("other",)]


def test_a_numbered_reference_has_the_revision_of_its_commit_whatever_points_at_it(
    client: wb.Client, model: str
) -> None:
    before = client.resolve(f"{model}:1").revision
    client.set_alias(model, "champion", 1)
    client.promote(f"{model}:1", "staging")
    assert client.resolve(f"{model}:1").revision == before


def test_setting_it_where_it_points_changes_nothing(client: wb.Client, model: str) -> None:
    first = client.set_alias(model, "champion", 1, reason="first")
    assert client.set_alias(model, "champion", 1, reason="again") == first
    assert len(events_of(client, f"{model}@champion")) == 1


def test_every_move_is_an_event_with_what_was_and_what_is(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1, reason="größer 🚚")
    client.set_alias(model, "champion", 2)
    client.delete_alias(model, "champion", reason="unused")
    client.set_alias(model, "champion", 1)
    name = f"{model}@champion"
    one, two = where(client, model, 1), where(client, model, 2)
    assert events_of(client, name) == [
        ("alias.set", name, None, {**one, "reason": "größer 🚚"}),
        ("alias.set", name, one, {**two, "reason": ""}),
        ("alias.deleted", name, two, {"reason": "unused"}),
        ("alias.set", name, None, {**one, "reason": ""}),
    ]


def test_a_removed_alias_is_gone_and_its_version_is_not(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1)
    client.set_alias(model, "other", 1)
    client.delete_alias(model, "champion")
    for call in (
        lambda: client.resolve(f"{model}@champion"),
        lambda: client.pull(f"{model}@champion"),
        lambda: client.delete_alias(model, "champion"),
    ):
        with pytest.raises(wb.AliasNotFound, match=r"has no alias 'champion'; it has other, and"):
            call()
    assert client.version(f"{model}:1").aliases == ("other",)


def test_the_answer_to_who_names_a_missing_alias_says_what_there_is(client: wb.Client, model: str) -> None:
    with pytest.raises(wb.AliasNotFound, match="it has none yet, and 'weighbridge alias set' makes one"):
        client.version(f"{model}@champion")
    with pytest.raises(wb.AliasNotFound, match=r"no version of .* is in production; 'weighbridge promote' moves one"):
        client.version(f"{model}@production")
    for number in range(12):
        client.set_alias(model, f"a{number:02}", 1)
    with pytest.raises(wb.AliasNotFound, match=r"it has a00, a01, .*, a09, …, and"):
        client.version(f"{model}@b")


# -- revisions that are expected ---------------------------------------------------------------


def test_who_moves_an_alias_unseen_is_told_where_it_points(client: wb.Client, model: str) -> None:
    first = client.set_alias(model, "champion", 1, expected_revision=0)
    second = client.set_alias(model, "champion", 2, expected_revision=first.revision)
    for call in (
        lambda: client.set_alias(model, "champion", 3, expected_revision=first.revision),
        lambda: client.set_alias(model, "champion", 3, expected_revision=0),
        lambda: client.set_alias(model, "champion", 2, expected_revision=first.revision),
        lambda: client.delete_alias(model, "champion", expected_revision=first.revision),
    ):
        with pytest.raises(wb.RevisionConflict, match=rf"points at {model}:2 since revision {second.revision}") as lost:
            call()
        assert (lost.value.details["revision"], lost.value.details["value"]) == (str(second.revision), second.ref)
    assert client.aliases(model) == [second]
    client.delete_alias(model, "champion", expected_revision=second.revision)


def test_an_alias_that_is_gone_has_revision_0(client: wb.Client, model: str) -> None:
    first = client.set_alias(model, "champion", 1)
    client.delete_alias(model, "champion")
    with pytest.raises(wb.RevisionConflict, match="points nowhere") as lost:
        client.set_alias(model, "champion", 2, expected_revision=first.revision)
    assert (lost.value.details["revision"], lost.value.details["value"]) == ("0", "")
    assert client.set_alias(model, "champion", 2, expected_revision=0).version == 2


def test_a_second_try_of_a_call_has_the_answer_of_the_first(raw: RawClient, client: wb.Client, model: str) -> None:
    request = lifecycle_pb2.SetAliasRequest(request_id=uuid.uuid4().hex, model=model, alias="champion", version=1)
    first = raw.lifecycle.SetAlias(request)
    client.set_alias(model, "champion", 2)
    assert raw.lifecycle.SetAlias(request) == first
    assert client.resolve(f"{model}@champion").version == 2
    removal = lifecycle_pb2.DeleteAliasRequest(request_id=uuid.uuid4().hex, model=model, alias="champion")
    raw.lifecycle.DeleteAlias(removal)
    raw.lifecycle.DeleteAlias(removal)
    request.version = 3
    assert refused(lambda: raw.lifecycle.SetAlias(request)).reason == "REQUEST_ID_REUSED"
    assert numbers_of(list(client.alias_history(f"{model}@champion"))) == [None, 2, 1]


# -- history -----------------------------------------------------------------------------------


def test_history_lists_the_moves_newest_first(client: wb.Client, model: str) -> None:
    for number in (1, 3, 2):
        client.set_alias(model, "champion", number, reason=f"now {number}")
    client.delete_alias(model, "champion", reason="done")
    moves = list(client.alias_history(f"{model}@champion"))
    assert numbers_of(moves) == [None, 2, 3, 1]
    assert [move.previous_ref for move in moves] == [f"{model}:2", f"{model}:3", f"{model}:1", ""]
    assert [move.reason for move in moves] == ["done", "now 2", "now 3", "now 1"]
    assert [move.action for move in moves] == ["alias.deleted", *["alias.set"] * 3]
    assert {move.actor for move in moves} == {client.version(f"{model}:1").creator}
    events = {event.revision: event for event in client.events(model=model)}
    assert all(events[move.revision].time == move.time for move in moves)


def test_history_says_where_an_alias_pointed_at_any_time(client: wb.Client, model: str) -> None:
    for number in (1, 3, 2):
        client.set_alias(model, "champion", number)
    client.delete_alias(model, "champion")
    moves = list(client.alias_history(f"{model}@champion"))

    def at(time: datetime) -> list[int | None]:
        return numbers_of(list(client.alias_history(f"{model}@champion", at=time)))

    instant = timedelta(microseconds=1)
    for move, older in zip(moves, [*moves[1:], None], strict=True):
        assert at(move.time) == numbers_of([move])
        assert at(move.time - instant) == (numbers_of([older]) if older else [])
    assert at(datetime(2020, 1, 1, tzinfo=UTC)) == []
    assert at(datetime(9999, 12, 31)) == [None]


def test_history_comes_in_pages(raw: RawClient, client: wb.Client, model: str) -> None:
    for number in (1, 2, 3, 1, 2):
        client.set_alias(model, "champion", number)
    request = lifecycle_pb2.GetAliasHistoryRequest(model=model, alias="champion", page_size=2)
    pages: list[list[str]] = []
    while not pages or request.page_token:
        answer = raw.lifecycle.GetAliasHistory(request)
        pages.append([move.ref for move in answer.moves])
        request.page_token = answer.next_page_token
    assert pages == [[f"{model}:{number}" for number in page] for page in ([2, 1], [3, 2], [1])]
    request.page_token = "bm90IG91cnM="
    assert refused(lambda: raw.lifecycle.GetAliasHistory(request)).violations[0][0] == "page_token"


def test_an_alias_that_never_was_has_no_history(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champ", 1)
    for alias in ("champion", "production"):
        with pytest.raises(wb.AliasNotFound):
            list(client.alias_history(f"{model}@{alias}"))
        with pytest.raises(wb.AliasNotFound):
            list(client.alias_history(f"{model}@{alias}", at=datetime.now(UTC)))


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("alias", ["production", "staging"])
def test_stage_pointers_are_moved_by_promotions_and_rollbacks_only(
    client: wb.Client, raw: RawClient, model: str, alias: str
) -> None:
    client.promote(f"{model}:1", "staging")
    if alias == "production":
        client.promote(f"{model}:1", "production")
    for call in (lambda: client.set_alias(model, alias, 2), lambda: client.delete_alias(model, alias)):
        with pytest.raises(wb.InvalidRequest) as refusal:
            call()
        assert [violation.path for violation in refusal.value.violations] == ["alias"]
    request = lifecycle_pb2.SetAliasRequest(model=model, alias=alias, version=2)
    assert refused(lambda: raw.lifecycle.SetAlias(request)).reason == "INVALID_REQUEST"
    removal = lifecycle_pb2.DeleteAliasRequest(model=model, alias=alias)
    assert refused(lambda: raw.lifecycle.DeleteAlias(removal)).reason == "INVALID_REQUEST"
    assert client.resolve(f"{model}@{alias}").version == 1


HOSTILE = ["", "Prod", "-a", "a b", "a.b", "a@b", "a:1", "größer", "a\n", "../a", "a" * 64, "\0", "'; DROP TABLE alias"]


@pytest.mark.parametrize("alias", HOSTILE)
def test_what_cannot_be_an_alias_is_refused_by_both_sides(
    client: wb.Client, raw: RawClient, model: str, alias: str
) -> None:
    with pytest.raises(wb.InvalidReference) as refusal:
        client.set_alias(model, alias, 1)
    assert [violation.path for violation in refusal.value.violations] == ["alias"]
    with pytest.raises(wb.InvalidReference):
        client.delete_alias(model, alias)
    with pytest.raises((wb.InvalidReference, wb.InvalidName)):
        list(client.alias_history(f"{model}@{alias}"))
    reason = "INVALID_REFERENCE" if alias else "INVALID_REQUEST"  # empty: the proto's own rule
    set_it = lifecycle_pb2.SetAliasRequest(model=model, alias=alias, version=1)
    history = lifecycle_pb2.GetAliasHistoryRequest(model=model, alias=alias)
    assert refused(lambda: raw.lifecycle.SetAlias(set_it)).reason == reason
    assert refused(lambda: raw.lifecycle.GetAliasHistory(history)).reason == reason


@pytest.mark.parametrize("alias", ["a", "0", "a-", "a" * 63, "latest", string.digits, "archive"])
def test_unusual_aliases_work(client: wb.Client, model: str, alias: str) -> None:
    client.set_alias(model, alias, 1)
    assert client.resolve(f"{model}@{alias}").version == 1


@pytest.mark.parametrize("alias", ["development", "archived"])
def test_the_name_of_a_stage_that_many_hold_is_no_alias(client: wb.Client, model: str, alias: str) -> None:
    with pytest.raises(wb.InvalidRequest) as refusal:
        client.set_alias(model, alias, 1)
    assert ["a stage" in violation.message for violation in refusal.value.violations] == [True]
    with pytest.raises(wb.AliasNotFound):
        client.delete_alias(model, alias)


def test_everything_that_is_wrong_is_said_at_once(client: wb.Client) -> None:
    wrong = {"version": 0, "expected_revision": -1, "reason": "x" * 1025}
    with pytest.raises(wb.InvalidName) as unnamed:
        client.set_alias("n o.x", "A", **wrong)  # type: ignore[arg-type]
    with pytest.raises(wb.InvalidRequest) as refusal:
        client.set_alias("a.b.c", "production", **wrong)  # type: ignore[arg-type]
    assert [violation.path for violation in refusal.value.violations] == ["alias", *wrong]
    assert [violation.path for violation in unnamed.value.violations] == ["name.project", "alias", *wrong]


@pytest.mark.parametrize("wrong", [{"version": "7"}, {"version": True}, {"reason": None}, {"expected_revision": 1.0}])
def test_values_of_wrong_types_are_refused_by_name(client: wb.Client, wrong: dict[str, object]) -> None:
    with pytest.raises(wb.InvalidRequest) as refusal:
        client.set_alias("a.b.c", "champion", **{"version": 1, **wrong})  # type: ignore[arg-type]
    assert [violation.path for violation in refusal.value.violations] == list(wrong)


def test_a_version_that_is_not_there_cannot_be_pointed_at(client: wb.Client, raw: RawClient, model: str) -> None:
    for number in (4, 2**63 - 1):
        with pytest.raises(wb.VersionNotFound, match=f"the newest is {model}:3"):
            client.set_alias(model, "champion", number)
    request = lifecycle_pb2.SetAliasRequest(model=model, alias="champion", version=2**64 - 1)
    assert refused(lambda: raw.lifecycle.SetAlias(request)).reason == "INVALID_REQUEST"
    with pytest.raises(wb.ModelNotFound):
        client.set_alias("no.such.model", "champion", 1)
    client.delete_version(f"{model}:2", reason="bad")
    with pytest.raises(wb.VersionDeleted):
        client.set_alias(model, "champion", 2)
    assert client.aliases(model) == []


def test_what_an_alias_points_at_cannot_be_deleted(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1)
    client.promote(f"{model}:1", "staging")
    with pytest.raises(wb.VersionInUse) as held:
        client.delete_version(f"{model}:1", reason="bad")
    assert [violation.path for violation in held.value.violations] == ["stage", "aliases.champion"]
    client.delete_alias(model, "champion")
    client.promote(f"{model}:1", "development")
    client.delete_version(f"{model}:1", reason="bad")


def test_a_deleted_model_takes_no_alias_until_it_is_restored(client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1)
    client.delete_alias(model, "champion")
    client.delete_model(model, reason="unused")
    for call in (
        lambda: client.aliases(model),
        lambda: client.resolve(f"{model}@champion"),
        lambda: client.set_alias(model, "champion", 2),
        lambda: client.delete_alias(model, "champion"),
        lambda: list(client.alias_history(f"{model}@champion")),
        lambda: client.promote(f"{model}:1", "staging"),
        lambda: client.rollback(f"{model}@champion", reason="bad"),
    ):
        with pytest.raises(wb.ModelDeleted):
            call()
    client.restore_model(model)
    assert client.aliases(model) == []
    assert [move.action for move in client.alias_history(f"{model}@champion")] == ["alias.deleted", "alias.set"]


@pytest.mark.long
def test_a_model_has_as_many_aliases_as_one_message_lists(client: wb.Client, model: str) -> None:
    reason = "🚚" * 1024
    for number in range(ALIASES_PER_MODEL):
        client.set_alias(model, f"alias-{number:03}{'x' * 54}", 1, reason=reason)
    with pytest.raises(wb.LimitExceeded, match="a model has at most 500"):
        client.set_alias(model, "one-more", 1)
    client.promote(f"{model}:1", "staging")  # a stage is not kept out
    assert len(client.aliases(model)) == ALIASES_PER_MODEL + 1
    assert len(list(client.alias_history(f"{model}@alias-000{'x' * 54}"))) == 1
