"""Setting a schema: revisions, races, the journal, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import RawClient, refused
from storage_fixtures import Storage, open_storage
from weighbridge.v1 import lifecycle_pb2, lifecycle_pb2_grpc
from weighbridge_server.domain.schema.schemas import MOST_PREFIXES, Schemas


@pytest.fixture
def prefix(new_model: Callable[[], str]) -> str:
    """A project of the test's own."""
    return new_model().replace(".", "-")


def test_each_change_is_a_revision_and_the_earlier_ones_are_kept(client: wb.Client, prefix: str) -> None:
    texts = ['{"title": "one"}', '{\n  "title": "two" }', '{"title": "one"}']
    made = [client.set_schema(prefix, text) for text in texts]
    assert [schema.revision for schema in made] == [1, 2, 3]
    assert [schema.json_schema for schema in made] == texts
    assert client.schema(prefix) == made[2]
    assert [client.schema(prefix, revision) for revision in (1, 2, 3)] == made
    assert made[0].actor.startswith("unauthenticated:")
    for revision in (0, 4):
        with pytest.raises(wb.SchemaNotFound, match=f"no revision {revision}"):
            client.schema(prefix, revision)


def test_the_longest_prefix_governs(client: wb.Client, prefix: str) -> None:
    client.set_schema(prefix, {"title": "project"})
    client.set_schema(f"{prefix}.tabular", {"title": "task"})
    governing = {
        prefix: prefix,
        f"{prefix}.tabular": f"{prefix}.tabular",
        f"{prefix}.tabular.transformer": f"{prefix}.tabular",
        f"{prefix}.tabularish.transformer": prefix,
        f"{prefix}.a.b": prefix,
    }
    assert {name: client.schema(name).prefix for name in governing} == governing
    with pytest.raises(wb.SchemaNotFound):
        client.schema(f"{prefix}er.tabular.transformer")
    with pytest.raises(wb.SchemaNotFound):
        client.schema(f"{prefix}.a", 1)


def test_the_shipped_schema_governs_what_no_other_does(asking_server: RunningServer, prefix: str) -> None:
    with asking_server.connect() as client:
        shipped = client.schema(f"{prefix}.a.b")
        assert (shipped.prefix, shipped.revision, shipped.actor, shipped.set_time) == ("*", 0, "", None)
        assert client.schema("*") == client.schema("*", 0) == shipped
        client.set_schema(prefix, {})
        assert client.schema(f"{prefix}.a.b").prefix == prefix
        listed = client.schemas()
        assert [schema.prefix for schema in listed] == sorted(schema.prefix for schema in listed)
        assert listed[0] == wb.Schema("*", 0, None, "", None)
        (mine,) = [schema for schema in listed if schema.prefix == prefix]
        assert (mine.revision, mine.json_schema) == (1, None)


@pytest.mark.long
def test_a_schema_of_all_names_takes_the_place_of_the_shipped_one(data_dir: Path) -> None:
    server = RunningServer(data_dir, ("--default-schema",)).start()
    try:
        with server.connect() as client:
            with pytest.raises(wb.RevisionConflict):
                client.set_schema("*", {}, expected_revision=1)
            made = client.set_schema("*", client.schema("*").json_schema or "", expected_revision=0)
            assert made.revision == 1, "it is set now, and does not change with a later release"
            client.set_schema("*", {"title": "ours"})
            assert client.schema("a.b.c").revision == 2
            assert [(schema.prefix, schema.revision) for schema in client.schemas()] == [("*", 2)]
            assert client.schema("*", 0).actor == ""
    finally:
        server.stop()


def test_the_same_text_again_changes_nothing(client: wb.Client, prefix: str) -> None:
    first = client.set_schema(prefix, "{}")
    events = len(list(client.events(action="schema.")))
    assert client.set_schema(prefix, "{}") == first
    assert client.set_schema(prefix, "{}", expected_revision=1) == first
    assert len(list(client.events(action="schema."))) == events


def test_the_journal_says_who_set_what(client: wb.Client, prefix: str) -> None:
    texts = ["{}", '{"title": "two"}']
    for text in texts:
        client.set_schema(prefix, text)
    digests = [f"b3:{blake3(text.encode()).hexdigest()}" for text in texts]
    first, second = client.events(resource=f"schema/{prefix}")
    assert [event.action for event in (first, second)] == ["schema.set", "schema.set"]
    assert first.before == ""
    assert json.loads(first.after) == json.loads(second.before) == {"revision": 1, "digest": digests[0]}
    assert json.loads(second.after) == {"revision": 2, "digest": digests[1]}
    assert client.verify_journal().revision >= second.revision


def test_who_has_not_seen_the_present_revision_is_refused(client: wb.Client, prefix: str) -> None:
    with pytest.raises(wb.RevisionConflict, match="is not set, and revision 1 was expected"):
        client.set_schema(prefix, {}, expected_revision=1)
    client.set_schema(prefix, {}, expected_revision=0)
    with pytest.raises(wb.RevisionConflict, match="is at revision 1, and none was expected") as raised:
        client.set_schema(prefix, {"title": "other"}, expected_revision=0)
    assert raised.value.details == {
        "resource": f"schema/{prefix}",
        "revision": "1",
        "value": f"b3:{blake3(b'{}').hexdigest()}",
    }
    assert client.set_schema(prefix, {"title": "other"}, expected_revision=1).revision == 2


def test_of_two_who_set_it_at_once_one_loses(server: RunningServer, client: wb.Client, prefix: str) -> None:
    outcomes: list[Any] = []
    barrier = threading.Barrier(8)

    def attempt(number: int) -> None:
        with server.connect() as own:
            own.schemas()
            barrier.wait(60)
            try:
                outcomes.append(own.set_schema(prefix, {"title": str(number)}, expected_revision=0))
            except wb.RevisionConflict as conflict:
                outcomes.append(conflict)

    threads = [threading.Thread(target=attempt, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, wb.Schema)]
    assert client.schema(prefix) == winner
    losers = [outcome for outcome in outcomes if isinstance(outcome, wb.RevisionConflict)]
    assert len(losers) == 7
    assert {loser.details["revision"] for loser in losers} == {"1"}


def test_revisions_have_no_gaps_whoever_sets_them(server: RunningServer, client: wb.Client, prefix: str) -> None:
    def set_some(number: int) -> None:
        with server.connect() as own:
            for turn in range(5):
                own.set_schema(prefix, {"title": f"{number}.{turn}"})

    threads = [threading.Thread(target=set_some, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.schema(prefix).revision == 20
    events = list(client.events(resource=f"schema/{prefix}"))
    assert [json.loads(event.after)["revision"] for event in events] == list(range(1, 21))


def test_a_second_try_returns_what_the_first_made(server: RunningServer, client: wb.Client, prefix: str) -> None:
    with RawClient(server.address) as raw:
        stub = lifecycle_pb2_grpc.LifecycleServiceStub(raw.channel)
        request = lifecycle_pb2.SetSchemaRequest(
            request_id=prefix, prefix=prefix, json_schema='{"title": "a"}', expected_revision=0
        )
        first = stub.SetSchema(request)
        client.set_schema(prefix, {"title": "b"})
        assert stub.SetSchema(request) == first
        request.json_schema = "{}"
        assert refused(lambda: stub.SetSchema(request)).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("prefix", "schema", "reason", "path"),
    [
        ("fraud.", "{}", "INVALID_NAME", "name.task"),
        ("", "{}", "INVALID_REQUEST", "prefix"),
        ("fraud.*", "{}", "INVALID_NAME", "name.task"),
        ("a" * 256, "{}", "INVALID_REQUEST", "prefix"),
        ("fraud", "", "INVALID_REQUEST", "json_schema"),
        ("fraud", "{", "INVALID_REQUEST", "json_schema"),
        ("fraud", "x" * 262_145, "INVALID_REQUEST", "json_schema"),
        ("fraud", '{"$ref": "http://127.0.0.1:1/s.json"}', "INVALID_REQUEST", "$ref"),
        ("fraud", '{"properties": {"tags": {"type": 7}}}', "INVALID_REQUEST", "properties.tags.type"),
        ("fraud", '{"title": "\\u0000", "maxLength": -1}', "INVALID_REQUEST", "maxLength"),
    ],
)
def test_the_server_refuses_what_is_no_schema_or_no_prefix(
    server: RunningServer, prefix: str, schema: str, reason: str, path: str
) -> None:
    with RawClient(server.address) as raw:
        stub = lifecycle_pb2_grpc.LifecycleServiceStub(raw.channel)
        request = lifecycle_pb2.SetSchemaRequest(prefix=prefix, json_schema=schema)
        refusal = refused(lambda: stub.SetSchema(request))
        assert (refusal.reason, [where for where, _ in refusal.violations]) == (reason, [path])
        assert stub.ListSchemas(lifecycle_pb2.ListSchemasRequest()).schemas is not None


def test_a_text_is_kept_as_it_was_given(client: wb.Client, prefix: str) -> None:
    text = '{ "title":"größer 🚚 \\u0000",\t"minimum": 1.0 }\n'
    assert client.set_schema(prefix, text).json_schema == text
    assert client.schema(prefix).json_schema == text


def test_no_more_prefixes_than_one_message_lists(empty_database: str, tmp_path: Path) -> None:
    with open_storage(empty_database, tmp_path) as storage:
        _fill(storage)
        schemas = Schemas(storage.catalog, shipped=True)
        assert len(schemas.list()) == MOST_PREFIXES + 1
        assert schemas.set("ada", "", "p7", '{"title": "again"}', None).revision == 2
        with pytest.raises(wb.LimitExceeded):
            schemas.set("ada", "", "one-more", "{}", None)


def _fill(storage: Storage) -> None:
    storage.sql(
        "INSERT INTO schema_revision (prefix, revision, json_schema, actor) "
        f"SELECT 'p' || n, 1, '{{}}', 'ada' FROM generate_series(1, {MOST_PREFIXES}) AS n"
    )


@pytest.mark.long
def test_the_verbs(run_cli: RunCli, client: wb.Client, prefix: str, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{\n  "title": "\\u001b[31m",\n  "description": "größer"\n}\n')
    ran = run_cli("schema", "set", prefix, file)
    assert (ran.code, ran.out.splitlines()[:2]) == (0, [f"schema of {prefix}", "  revision  1"])
    assert run_cli("schema", "set", prefix, file, "-q").out == "1\n"
    assert run_cli("schema", "get", "-q", f"{prefix}.a.b").out == file.read_text()
    shown = run_cli("schema", "get", prefix).out
    assert shown.startswith(f"schema of {prefix}\n  revision  1\n  set       ")
    assert shown.endswith("\n\n" + file.read_text())
    document = run_cli("schema", "get", prefix, "--json").json
    assert document["json_schema"] == json.loads(file.read_text())
    assert (document["prefix"], document["revision"]) == (prefix, 1)
    conflict = run_cli("schema", "set", prefix, file, "--expect", "0")
    assert (conflict.code, conflict.err.split(":")[1]) == (1, " REVISION_CONFLICT")
    assert prefix in run_cli("schema", "list", "-q").out.splitlines()
    listed = run_cli("schema", "list", "--json").json["schemas"]
    assert [sorted(each) for each in listed if each["prefix"] == prefix] == [
        ["actor", "prefix", "revision", "set_time"]
    ]
    assert client.schema(prefix).revision == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get", "no-such-project"), "SCHEMA_NOT_FOUND: no schema governs no-such-project"),
        (("get", "a b"), "INVALID_NAME: 'a b' is not a prefix of names"),
        (("set", "fraud", "/does/not/exist"), "SOURCE_UNREADABLE: the schema cannot be read from /does/not/exist"),
        (("set", "fraud", "/usr/bin/env"), "INVALID_REQUEST: /usr/bin/env is not text"),
        (("set", "fraud", "/dev/zero"), "INVALID_REQUEST: /dev/zero is too long for a schema"),
        (("check", "no.such.model:7"), "MODEL_NOT_FOUND: there is no model no.such.model"),
        (("check", "no-such-project"), "MODEL_NOT_FOUND: there is no model no-such-project"),
    ],
)
def test_a_verb_that_cannot_be_done_says_why(run_cli: RunCli, arguments: tuple[str, ...], said: str) -> None:
    ran = run_cli("schema", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {said}")
    assert run_cli("schema", *arguments, "--json").json["error"]["reason"] == said.split(":")[0]


@pytest.mark.parametrize("verb", ["get", "set", "check", "list"])
def test_the_help_of_each_has_examples_and_fits(run_cli: RunCli, verb: str) -> None:
    ran = run_cli("schema", verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "  Examples:\n    weighbridge schema " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
