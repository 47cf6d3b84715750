"""What may change of a committed version: its tags and its description, through the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import weighbridge as wb
from conftest import RunCli, RunningServer
from descent_fixtures import begun, committed, record
from raw_client import RawClient, refused
from storage_fixtures import MODEL, Storage, open_storage
from weighbridge.core.errors import LimitExceeded, SchemaViolated
from weighbridge.core.values import Record
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge_server.domain.registry.record_text import record_text
from weighbridge_server.domain.registry.version_changes import VersionChanges
from weighbridge_server.domain.schema.schemas import Schemas

NewModel = Callable[[], str]
TAGS: dict[str, wb.Scalar] = {"count": 1, "share": 1.0, "ok": True, "größe": "groß 🚚"}


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    """Plain stubs on the shared server."""
    with RawClient(server.address) as raw:
        yield raw


@pytest.fixture
def ref(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """A version with tags and a description."""
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"weights")
    return client.push(new_model(), weights, tags=TAGS, description="first", params={"lr": 1}).version.ref


def typed(tags: Any) -> dict[str, tuple[str, object]]:
    """With their types: 1 is neither 1.0 nor true."""
    return {name: (type(value).__name__, value) for name, value in tags.items()}


def recorded(version: wb.Version) -> wb.Record:
    """What it records."""
    assert version.record is not None
    return version.record


def digest_of(of: Record) -> str:
    """Of a record, as the journal has it."""
    text = json.dumps({"record": record_text(of)}, ensure_ascii=False, separators=(",", ":"))
    return f"b3:{blake3(text.encode()).hexdigest()}"


# -- what changes ------------------------------------------------------------------------------


def test_tags_are_set_replaced_and_removed_and_nothing_else_changes(client: wb.Client, ref: str) -> None:
    before = client.version(ref)
    updated = client.update_version(
        ref, set_tags={"new": "x", "count": 1.0, "ok": 1}, remove_tags=["share", "never there"]
    )
    assert typed(recorded(updated).tags) == typed({"new": "x", "count": 1.0, "ok": 1, "größe": "groß 🚚"})
    assert client.version(ref) == updated
    assert recorded(updated).params == {"lr": 1}
    assert (recorded(updated).description, updated.manifest) == ("first", before.manifest)
    assert recorded(updated).environment == recorded(before).environment


def test_a_description_is_replaced_and_cleared(client: wb.Client, ref: str) -> None:
    assert recorded(client.update_version(ref, description="zweite 🚚\n")).description == "zweite 🚚\n"
    cleared = recorded(client.update_version(ref, description=""))
    assert (cleared.description, typed(cleared.tags)) == ("", typed(TAGS))


def test_a_reference_still_stands_for_what_it_did(client: wb.Client, ref: str) -> None:
    model = ref.split(":")[0]
    before = [client.resolve(name) for name in (ref, model)]
    client.update_version(ref, set_tags={"new": 1})
    assert [client.resolve(name) for name in (ref, model)] == before
    assert client.update_version(model, set_tags={"newest": True}).ref == ref


def test_everything_that_is_wrong_is_said_at_once(client: wb.Client, raw: RawClient, ref: str) -> None:
    with pytest.raises(wb.InvalidRequest) as raised:
        client.update_version(
            ref,
            set_tags={"a": float("nan"), "": 1, "both": 1, "big": 2**53},
            remove_tags=["both", "x\0"],
            description="\0",
        )
    paths = [item.path for item in raised.value.violations]
    assert paths == ["set_tags.a", "set_tags.", "set_tags.big", "remove_tags[1]", "set_tags.both", "description"]
    with pytest.raises(wb.InvalidRequest, match="cannot be taken") as empty:
        client.update_version(ref)
    assert [item.path for item in empty.value.violations] == ["request"]
    with pytest.raises(wb.UsageError):
        client.update_version(ref, remove_tags="tag")
    request = versions_pb2.UpdateVersionRequest(ref=ref, remove_tags=["a\0"])
    request.set_tags["a\0"].CopyFrom(records_pb2.Value(string_value="b"))
    assert {path for path, _ in refused(lambda: raw.versions.UpdateVersion(request)).violations} == {
        "set_tags.a\0",
        "remove_tags[0]",
    }
    assert recorded(client.version(ref)).tags == TAGS


def test_a_version_that_is_not_there_is_not_changed(client: wb.Client, ref: str) -> None:
    model = ref.split(":")[0]
    for wrong, error in (
        ("no.such.model:1", wb.ModelNotFound),
        (f"{model}:2", wb.VersionNotFound),
        (f"{model}@champion", wb.AliasNotFound),
        (f"{model}:x", wb.InvalidReference),
    ):
        with pytest.raises(error):
            client.update_version(wrong, set_tags={"a": 1})


def test_the_record_stays_within_its_limit(storage: Storage) -> None:
    of = record(description="d" * 60_000)
    committed(storage, begun(storage, of), of)
    changes = VersionChanges(storage.catalog)
    with pytest.raises(LimitExceeded):
        changes.update("ada", "", MODEL, {"t": "x" * 6000}, [], None)
    assert recorded(changes.update("ada", "", MODEL, {"t": "x" * 6000}, [], "short")).tags == {"t": "x" * 6000}


def test_tags_that_result_pass_the_schema_that_the_version_passed(storage: Storage) -> None:
    schema = {
        "required": ["tags"],
        "properties": {"tags": {"required": ["level"], "properties": {"level": {"enum": [1, 2]}}}},
    }
    schemas = Schemas(storage.catalog, shipped=False)
    schemas.set("ada", "", "vision", json.dumps(schema), None)
    of = record(tags={"level": 1})
    ref = committed(storage, begun(storage, of), of).ref
    schemas.set("ada", "", "vision", json.dumps({"properties": {"tags": {"required": ["later"]}}}), None)
    changes = VersionChanges(storage.catalog)
    for set_tags, remove_tags in (({"level": 3}, []), ({}, ["level"])):
        with pytest.raises(SchemaViolated) as raised:
            changes.update("ada", "", ref, set_tags, remove_tags, None)
        assert raised.value.details == {"prefix": "vision", "revision": "1"}
        assert [item.path.startswith("tags") for item in raised.value.violations] == [True]
    assert recorded(changes.update("ada", "", ref, {"level": 2}, [], None)).tags == {"level": 2}


# -- calls that come twice, and at once --------------------------------------------------------


def test_a_call_with_the_same_id_is_made_once(raw: RawClient, client: wb.Client, ref: str) -> None:
    request = versions_pb2.UpdateVersionRequest(request_id=f"u-{ref}", ref=ref, description="once")
    request.set_tags["a"].CopyFrom(records_pb2.Value(int_value=1))
    assert raw.versions.UpdateVersion(request) == raw.versions.UpdateVersion(request)
    client.update_version(ref, set_tags={"a": 2})
    again = raw.versions.UpdateVersion(request)
    assert again.record.tags["a"].int_value == 2
    request.set_tags["a"].CopyFrom(records_pb2.Value(double_value=1))
    assert refused(lambda: raw.versions.UpdateVersion(request)).reason == "REQUEST_ID_REUSED"


def test_changes_at_once_are_one_after_the_other(storage: Storage) -> None:
    of = record()
    ref = committed(storage, begun(storage, of), of).ref
    changes = VersionChanges(storage.catalog)

    def work(number: int) -> None:
        for turn in range(5):
            changes.update(
                f"user-{number}", "", ref, {f"t{number}": turn}, [f"t{number - 1}"] if turn == 2 else [], None
            )

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    rows = storage.sql("SELECT before, after FROM event WHERE action = 'version.updated' ORDER BY revision")
    tags: dict[str, Any] = {}
    digest = digest_of(of)
    for before, after in (map(json.loads, row) for row in rows):
        assert before["record_digest"] == digest
        digest = after["record_digest"]
        for name in {*before["tags"], *after["tags"]}:
            assert before["tags"].get(name) == tags.pop(name, None)
        tags |= after["tags"]
    kept = recorded(storage.versions.get(ref))
    assert {name: {"int": value} for name, value in kept.tags.items()} == tags
    assert digest_of(kept) == digest
    assert len(rows) >= 30 - 5


# -- the journal -------------------------------------------------------------------------------


def test_a_change_is_one_event_with_what_differs(storage: Storage) -> None:
    first = record(tags={"kept": 1, "gone": "x", "level": 1}, description="one")
    ref = committed(storage, begun(storage, first), first).ref
    changes = VersionChanges(storage.catalog)
    changes.update("bob", "", ref, {"level": 1.0, "new": True, "kept": 1}, ["gone"], None)
    second = record(tags={"kept": 1, "level": 1.0, "new": True}, description="one")
    changes.update("eve", "", ref, {"new": True}, ["gone"], "one")  # all is so already
    changes.update("eve", "", ref, {}, [], "two")
    third = record(tags=dict(second.tags), description="two")
    rows = storage.sql(
        "SELECT actor, resource, before, after FROM event WHERE action = 'version.updated' ORDER BY revision"
    )
    assert [(actor, resource, json.loads(before), json.loads(after)) for actor, resource, before, after in rows] == [
        (
            "bob",
            ref,
            {"record_digest": digest_of(first), "tags": {"gone": {"string": "x"}, "level": {"int": 1}}},
            {"record_digest": digest_of(second), "tags": {"level": {"double": 1}, "new": {"bool": True}}},
        ),
        (
            "eve",
            ref,
            {"record_digest": digest_of(second), "description": "one"},
            {"record_digest": digest_of(third), "description": "two"},
        ),
    ]
    list(storage.journal.verify())


def test_what_is_refused_leaves_no_event(storage: Storage) -> None:
    of = record()
    ref = committed(storage, begun(storage, of), of).ref
    changes = VersionChanges(storage.catalog)
    with pytest.raises(LimitExceeded):
        changes.update("ada", "", ref, {"t": "x" * 70_000}, [], None)
    with pytest.raises(wb.VersionNotFound):
        changes.update("ada", "", f"{MODEL}:2", {"t": 1}, [], None)
    assert storage.sql("SELECT count(*) FROM event WHERE action = 'version.updated'") == [(0,)]


# -- the command line --------------------------------------------------------------------------


def test_tags_on_the_command_line(run_cli: RunCli, client: wb.Client, ref: str) -> None:
    ran = run_cli(
        "version", "tag", ref, "count=2", "url=a=b", 'text="7"', "ok=false", "--remove", "größe", "--remove", "x"
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"tagged {ref}\n")
    assert "tag url      a=b\n" in ran.out
    wanted = {"count": 2, "url": "a=b", "text": "7", "ok": False, "share": 1.0}
    assert typed(recorded(client.version(ref)).tags) == typed(wanted)
    document = run_cli("version", "tag", ref, "--remove", "count", "--json").json
    assert (document["ref"], "count" in document["tags"], document["description"]) == (ref, False, "first")
    assert run_cli("-q", "version", "tag", ref, "count=3").out == f"{ref}\n"
    described = run_cli("version", "describe", ref, "two\nlines")
    assert described.out.startswith(f"described {ref}\n")
    assert recorded(client.version(ref)).description == "two\nlines"


@pytest.mark.parametrize(
    "arguments",
    [("tag", "a.b.c:1"), ("tag", "a.b.c:1", "x"), ("tag", "a.b.c:1", "x=1", "x=2"), ("describe", "a.b.c:1"), ("tag",)],
)
def test_what_the_parser_refuses_exits_2(run_cli: RunCli, arguments: tuple[str, ...]) -> None:
    ran = run_cli("version", *arguments)
    assert (ran.code, ran.out) == (2, "")


def test_a_refusal_names_what_is_wrong(run_cli: RunCli, ref: str) -> None:
    ran = run_cli("version", "tag", ref, "a=1", "--remove", "a")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[1] == "  set_tags.a: is to be removed too; set it or remove it"
    assert run_cli("version", "describe", "no.such.model", "x").err.startswith("error: MODEL_NOT_FOUND: ")
