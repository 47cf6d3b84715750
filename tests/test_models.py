"""Models: what is said of them, how they change, are deleted and come back, and what the journal says of it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import weighbridge as wb
from conftest import WEIGHBRIDGE, Ran, RunCli, RunningServer
from raw_client import RawClient, refused
from row_locks import in_this_order
from storage_fixtures import MODEL, Storage, chunk, file_of, open_storage
from weighbridge.core.errors import ModelDeleted, ModelInUse, WeighbridgeError
from weighbridge.core.manifest import manifest_digest
from weighbridge.core.values import Record
from weighbridge.v1 import models_pb2, versions_pb2

NewModel = Callable[[], str]
SAID = {
    "owner": "ada",
    "team": "Betrug & Kühnheit",
    "contact": "#fraud-models",
    "description": "bewertet Zahlungen 🚚",
    "card": "# Card\n\n模型 🚚 **bold**\n",
}


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
def weights(tmp_path: Path) -> Path:
    """A file to push."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(100_000))
    return path


def said_of(model: wb.Model) -> dict[str, str | None]:
    """What people say of it."""
    return {field: getattr(model, field) for field in SAID}


def events_of(storage: Storage, name: str = MODEL) -> list[tuple[str, str, Any, Any]]:
    """Actor, action, before and after of each event of a model."""
    rows = storage.sql("SELECT actor, action, before, after FROM event WHERE resource = %s ORDER BY revision", name)
    return [(actor, action, json.loads(old or "null"), json.loads(new)) for actor, action, old, new in rows]


# -- what is said ------------------------------------------------------------------------------


def test_what_is_said_of_a_model_comes_back_as_it_was_said(client: wb.Client, new_model: NewModel) -> None:
    name = new_model()
    made = client.create_model(name, **SAID)
    assert said_of(made) == SAID
    assert (made.latest_version, made.deletion) == (0, None)
    assert client.model(name) == made
    (listed,) = (model for model in client.models() if model.name == name)
    assert listed.card is None  # a list has no cards: a page of them would not fit a message
    assert said_of(listed) == {**SAID, "card": None}


def test_a_model_of_which_nothing_is_said_is_its_creators(client: wb.Client, new_model: NewModel) -> None:
    made = client.create_model(new_model())
    assert made.owner == made.creator != ""
    assert (made.team, made.contact, made.description, made.card) == ("", "", "", "")


@pytest.mark.parametrize("field", SAID)
def test_an_update_changes_what_is_given_and_nothing_else(client: wb.Client, new_model: NewModel, field: str) -> None:
    name = new_model()
    client.create_model(name, **SAID)
    assert said_of(client.update_model(name, **{field: "neu 🚚"})) == {**SAID, field: "neu 🚚"}
    assert said_of(client.model(name)) == {**SAID, field: "neu 🚚"}


def test_an_empty_text_clears_what_was_there(client: wb.Client, new_model: NewModel) -> None:
    name = new_model()
    client.create_model(name, **SAID)
    updated = client.update_model(name, team="", contact="", description="", card="")
    assert (updated.owner, updated.team, updated.contact, updated.description, updated.card) == ("ada", "", "", "", "")


def test_an_update_leaves_the_versions_alone(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    name = new_model()
    pushed = client.push(name, weights).version
    assert client.update_model(name, card="new").latest_version == 1
    assert client.resolve(name).ref == pushed.ref


def test_a_card_may_have_64_kib(client: wb.Client, new_model: NewModel) -> None:
    name = new_model()
    card = "é" * 32_768
    assert client.create_model(name, card=card).card == card
    with pytest.raises(wb.InvalidRequest) as raised:
        client.update_model(name, card=card + "x")
    assert [item.path for item in raised.value.violations] == ["card"]
    assert "65537 bytes, at most 65536" in raised.value.violations[0].message


WRONG = {"owner": "a\0b", "team": "x" * 257, "contact": "\udc80", "description": "x" * 4097, "card": "y" * 65_537}


def test_everything_that_is_wrong_is_said_at_once(client: wb.Client) -> None:
    with pytest.raises(wb.InvalidRequest) as created:
        client.create_model("a.b.c", **WRONG)
    with pytest.raises(wb.InvalidRequest) as updated:
        client.update_model("a.b.c", **WRONG)
    with pytest.raises(wb.InvalidName) as unnamed:
        client.create_model("A..b", **WRONG)
    for raised in (created, updated):
        assert sorted(item.path for item in raised.value.violations) == sorted(WRONG)
    assert {item.path for item in unnamed.value.violations} == {"name.task", *WRONG}
    assert ("owner", "contains a NUL character") in [(v.path, v.message) for v in created.value.violations]


def test_the_server_checks_by_itself(raw: RawClient, new_model: NewModel) -> None:
    name = raw.create(new_model())
    create, update, delete = models_pb2.CreateModelRequest, models_pb2.UpdateModelRequest, models_pb2.DeleteModelRequest
    wrong = {"owner": "a\0b", "team": "x" * 257, "contact": "\0", "description": "\0"}

    def fields(call: Callable[[], object]) -> list[str]:
        refusal = refused(call)
        assert refusal.reason == "INVALID_REQUEST"
        return sorted({field for field, _ in refusal.violations})

    assert fields(lambda: raw.models.CreateModel(create(name=new_model(), **wrong))) == sorted(wrong)
    assert fields(lambda: raw.models.UpdateModel(update(name=name, **wrong))) == sorted(wrong)
    assert fields(lambda: raw.models.UpdateModel(update(name=name, owner=""))) == ["owner"]
    assert fields(lambda: raw.models.UpdateModel(update(name=name, card="x" * 65_537))) == ["card"]
    assert fields(lambda: raw.models.UpdateModel(update(name=name))) == ["request"]
    for reason in ("", " \n", "x" * 1025, "a\0"):
        assert fields(partial(raw.models.DeleteModel, delete(name=name, reason=reason))) == ["reason"]
    assert raw.models.GetModel(models_pb2.GetModelRequest(name=name)).team == ""


def test_a_model_that_is_not_there_is_not_changed(client: wb.Client) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: client.update_model("no.such.model", team="x"),
        lambda: client.delete_model("no.such.model", reason="x"),
        lambda: client.restore_model("no.such.model"),
    ]
    for attempt in attempts:
        with pytest.raises(wb.ModelNotFound):
            attempt()


def test_pages_of_long_texts_end_early_and_miss_nothing(storage: Storage) -> None:
    names = [f"long.text.m{number:03}" for number in range(300)]
    with storage.catalog.transaction("ada") as tx:
        for name in names:
            assert tx.models.add(name, "ada", "é" * 2048, card="c" * 1000)
    found, token = storage.models.list(1000, "")
    assert 0 < len(found) < 300
    assert sum(len(model.description.encode()) for model in found) <= 1024 * 1024
    while token:
        page, token = storage.models.list(1000, token)
        assert page
        found += page
    assert [model.name for model in found] == names


# -- gone and back -----------------------------------------------------------------------------


def test_a_deleted_model_is_there_for_nobody_and_says_why(
    client: wb.Client, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    name = new_model()
    client.create_model(name, **SAID)
    version = client.push(name, weights).version
    deleted = client.delete_model(name, reason="ersetzt durch 🚚")
    assert deleted.deletion is not None
    assert (deleted.deletion.reason, deleted.deletion.actor) == ("ersetzt durch 🚚", deleted.creator)
    assert said_of(deleted) == SAID
    attempts: list[Callable[[], object]] = [
        lambda: client.model(name),
        lambda: client.update_model(name, team="x"),
        lambda: client.delete_model(name, reason="again"),
        lambda: list(client.versions(name)),
        lambda: client.version(version.ref),
        lambda: client.resolve(name),
        lambda: client.resolve(f"{name}@production"),
        lambda: list(client.files(version.ref)),
        lambda: client.pull(version.ref, tmp_path / "out"),
        lambda: client.load(version.ref, include=["*"]),
        lambda: client.begin(name),
        lambda: client.push(name, weights),
        lambda: client.push(new_model(), weights, parent=version.ref),
    ]
    for attempt in attempts:
        with pytest.raises(wb.ModelDeleted) as raised:
            attempt()
        assert raised.value.code == "NOT_FOUND"
        assert raised.value.details["model"] == name
        assert raised.value.details["deletion_reason"] == "ersetzt durch 🚚"
        for said in (name, deleted.deletion.actor, f"weighbridge model restore {name}", "ersetzt durch 🚚"):
            assert said in raised.value.message
        assert f"{deleted.deletion.time:%Y-%m-%dT%H:%M:%SZ}" in raised.value.message
    assert not (tmp_path / "out").exists()
    with pytest.raises(wb.ModelExists, match=f"weighbridge model restore {name}") as taken:
        client.create_model(name)
    assert taken.value.details["deletion_reason"] == "ersetzt durch 🚚"
    assert name not in [model.name for model in client.models()]
    (listed,) = (model for model in client.models(deleted=True) if model.name == name)
    assert listed.deletion == deleted.deletion


def test_versions_of_deleted_models_are_not_found_by_their_content(
    client: wb.Client, raw: RawClient, new_model: NewModel, weights: Path
) -> None:
    names = [new_model(), new_model()]
    pushed = [client.push(name, weights).version for name in names]
    client.delete_model(names[0], reason="x")
    request = versions_pb2.ListVersionsRequest(manifest_digest=f"b3:{pushed[0].manifest.hex()}")
    assert [found.ref for found in raw.versions.ListVersions(request).versions] == [pushed[1].ref]
    client.restore_model(names[0])
    found = raw.versions.ListVersions(request).versions
    assert [one.ref for one in found] == [pushed[1].ref, pushed[0].ref]


def test_what_was_deleted_comes_back_as_it_was(
    client: wb.Client, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    name = new_model()
    client.create_model(name, **SAID)
    client.push(name, weights, params={"lr": 1})
    before, version, resolved = client.model(name), client.version(f"{name}:1"), client.resolve(name)
    client.delete_model(name, reason="a mistake")
    assert client.restore_model(name) == before
    assert client.model(name) == before
    assert client.version(f"{name}:1") == version
    assert client.resolve(name) == resolved
    assert (client.pull(name, tmp_path / "out") / "weights.bin").read_bytes() == weights.read_bytes()
    assert client.push(name, weights).version.ref == f"{name}:2"
    with pytest.raises(wb.ModelExists, match="is not deleted"):
        client.restore_model(name)


def test_a_model_may_be_deleted_again(client: wb.Client, new_model: NewModel) -> None:
    name = new_model()
    client.create_model(name)
    for turn in range(3):
        deleted = client.delete_model(name, reason=f"turn {turn}")
        assert deleted.deletion is not None
        assert deleted.deletion.reason == f"turn {turn}"
        assert client.restore_model(name).deletion is None


def test_open_uploads_hold_a_model_and_are_all_named(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    name = new_model()
    first, second = client.begin(name), client.begin(name)
    for remaining in (2, 1):
        with pytest.raises(wb.ModelInUse) as raised:
            client.delete_model(name, reason="x")
        assert raised.value.code == "FAILED_PRECONDITION"
        assert len(raised.value.violations) == remaining
        for violation in raised.value.violations:
            assert violation.path.startswith("uploads.")
            assert "begun by unauthenticated:" in violation.message
        if remaining == 2:
            first.abort()
    second.add(weights)
    assert second.commit().version.ref == f"{name}:1"
    assert client.delete_model(name, reason="x").latest_version == 1


def test_an_upload_whose_time_ran_out_holds_nothing(storage: Storage) -> None:
    upload_id = storage.begin()
    with pytest.raises(ModelInUse) as raised:
        storage.models.delete("bob", "", MODEL, "x")
    assert [item.path for item in raised.value.violations] == [f"uploads.{upload_id}"]
    storage.sql("UPDATE upload SET lease_expires_time = now() - interval '1 second'")
    assert storage.models.delete("bob", "", MODEL, "x").deletion is not None


def test_a_model_that_holds_staging_or_production_is_not_deleted(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    name = new_model()
    for _ in range(2):
        client.push(name, weights)
    for version, stages in ((1, ("staging", "production")), (2, ("staging",))):
        for stage in stages:
            client.promote(f"{name}:{version}", stage)
    with pytest.raises(ModelInUse) as raised:
        client.delete_model(name, reason="x")
    assert {item.path: item.message.partition(";")[0] for item in raised.value.violations} == {
        "stages.production": f"is held by {name}:1",
        "stages.staging": f"is held by {name}:2",
    }
    client.promote(f"{name}:1", "archived")
    client.promote(f"{name}:2", "development")
    assert client.delete_model(name, reason="x").deletion is not None


def test_what_points_at_its_versions_or_descends_from_them_holds_a_model(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    parent = client.push(new_model(), weights).version
    client.push(parent.model, weights, parent=parent.ref)  # which is hidden with it
    client.set_alias(parent.model, "champion", 1)
    child = client.push(new_model(), weights, parent=parent.ref).version
    with client.begin(new_model(), parent=parent.ref) as version:
        version.add(weights)
        with pytest.raises(ModelInUse) as raised:
            client.delete_model(parent.model, reason="x")
    found = [(item.path.partition(".")[0], item.message.partition(";")[0]) for item in raised.value.violations]
    assert found == [
        ("aliases", "points at a version of it"),
        ("children", "was made from a version of it"),
        ("uploads", "names a version of it as a parent"),
    ]
    assert version.result is not None
    assert raised.value.violations[1].path == f"children.{child.ref}"
    client.delete_alias(parent.model, "champion")
    for grandchild in (child, version.result.version):
        client.delete_version(grandchild.ref, reason="x")
    assert client.delete_model(parent.model, reason="x").deletion is not None


# -- calls that come twice ---------------------------------------------------------------------


def test_a_call_with_the_same_id_is_made_once(raw: RawClient, new_model: NewModel) -> None:
    name = new_model()
    create = models_pb2.CreateModelRequest(request_id=f"c-{name}", name=name, card="one")
    assert raw.models.CreateModel(create) == raw.models.CreateModel(create)
    update = models_pb2.UpdateModelRequest(request_id=f"u-{name}", name=name, card="two")
    assert raw.models.UpdateModel(update) == raw.models.UpdateModel(update)
    delete = models_pb2.DeleteModelRequest(request_id=f"d-{name}", name=name, reason="x")
    assert raw.models.DeleteModel(delete) == raw.models.DeleteModel(delete)
    assert refused(lambda: raw.models.CreateModel(create)).reason == "MODEL_DELETED"
    restore = models_pb2.RestoreModelRequest(request_id=f"r-{name}", name=name)
    assert raw.models.RestoreModel(restore) == raw.models.RestoreModel(restore)
    assert raw.models.CreateModel(create).card == "two"
    update.card = create.card = "three"
    delete.reason = "y"
    restore.name = new_model()
    for again in (
        lambda: raw.models.CreateModel(create),
        lambda: raw.models.UpdateModel(update),
        lambda: raw.models.DeleteModel(delete),
        lambda: raw.models.RestoreModel(restore),
    ):
        assert refused(again).reason == "REQUEST_ID_REUSED"


# -- the journal -------------------------------------------------------------------------------


def test_every_change_is_one_event_with_what_was_and_what_is(storage: Storage) -> None:
    storage.models.create("ada", "", MODEL, "ada", "first", card="# One")
    storage.models.update("bob", "", MODEL, {"owner": "bob", "card": "# Zwei"})
    storage.models.update("bob", "", MODEL, {"owner": "bob"})  # changes nothing
    storage.models.delete("eve", "", MODEL, "old")
    storage.models.restore("ada", "", MODEL)
    first = {
        "name": MODEL,
        "owner": "ada",
        "team": "",
        "contact": "",
        "description": "first",
        "card_bytes": 5,
        "card_digest": f"b3:{blake3(b'# One').hexdigest()}",
    }
    second = {**first, "owner": "bob", "card_bytes": 6, "card_digest": f"b3:{blake3(b'# Zwei').hexdigest()}"}
    third = {**second, "deletion": {"actor": "eve", "reason": "old"}}
    assert events_of(storage) == [
        ("ada", "model.created", None, first),
        ("bob", "model.updated", first, second),
        ("eve", "model.deleted", second, third),
        ("ada", "model.restored", third, second),
    ]
    list(storage.journal.verify())


def test_what_is_refused_leaves_no_event(storage: Storage) -> None:
    storage.begin()  # registers the model and holds it
    attempts: list[Callable[[], object]] = [
        lambda: storage.models.update("ada", "", MODEL, {}),
        lambda: storage.models.delete("ada", "", MODEL, "held"),
        lambda: storage.models.restore("ada", "", MODEL),
        lambda: storage.models.create("ada", "", MODEL, "", ""),
    ]
    for attempt in attempts:
        with pytest.raises(WeighbridgeError):
            attempt()
    assert storage.sql("SELECT count(*) FROM event") == [(0,)]


# -- races -------------------------------------------------------------------------------------


def test_updates_at_once_change_their_own_fields_one_after_the_other(storage: Storage) -> None:
    storage.models.create("ada", "", MODEL, "", "")
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(30)
        for turn in range(5):
            field = ("owner", "team", "contact", "card")[number % 4]
            storage.models.update(f"user-{number}", "", MODEL, {field: f"{number}-{turn}"})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    events = events_of(storage)
    assert len(events) == 41
    for (_, _, _, before), (_, _, said_before, _) in itertools.pairwise(events):
        assert said_before == before  # what the journal says was replaced is what was there
    model = storage.models.get(MODEL)
    assert {model.owner, model.team, model.contact, model.card} <= {f"{number}-4" for number in range(8)}


def test_of_a_field_that_two_change_the_later_wins(storage: Storage) -> None:
    storage.models.create("ada", "", MODEL, "", "")
    in_this_order(
        storage,
        lambda: storage.models.update("bob", "", MODEL, {"team": "b", "contact": "b"}),
        lambda: storage.models.update("eve", "", MODEL, {"team": "e"}),
    )
    model = storage.models.get(MODEL)
    assert (model.team, model.contact) == ("e", "b")


def test_a_push_that_begins_behind_a_deletion_is_refused(storage: Storage) -> None:
    storage.models.create("ada", "", MODEL, "", "")
    deleted, begun = in_this_order(
        storage,
        lambda: storage.models.delete("bob", "", MODEL, "x"),
        lambda: storage.uploads.begin("ada", "", MODEL, Record()),
    )
    assert isinstance(deleted, wb.Model)
    assert isinstance(begun, ModelDeleted)
    assert storage.sql("SELECT count(*) FROM upload") == [(0,)]


def test_a_deletion_behind_a_push_that_begins_is_refused(storage: Storage) -> None:
    storage.models.create("ada", "", MODEL, "", "")
    begun, deleted = in_this_order(
        storage,
        lambda: storage.uploads.begin("ada", "", MODEL, Record()),
        lambda: storage.models.delete("bob", "", MODEL, "x"),
    )
    assert not isinstance(begun, Exception)
    assert isinstance(deleted, ModelInUse)


def test_a_deletion_and_a_commit_are_one_after_the_other(storage: Storage) -> None:
    one = chunk("race")
    files = [file_of("a.bin", [one])]

    def ready() -> str:
        upload_id = storage.begin()
        storage.send(upload_id, [one])
        storage.uploads.put_manifest("ada", upload_id, files)
        return upload_id

    def commit(upload_id: str) -> Callable[[], object]:
        return lambda: storage.uploads.commit("ada", upload_id, manifest_digest(files), Record(), [])

    deleted, committed = in_this_order(storage, lambda: storage.models.delete("bob", "", MODEL, "x"), commit(ready()))
    assert isinstance(deleted, ModelInUse)
    assert isinstance(committed, wb.Version)
    upload_id = ready()
    committed, deleted = in_this_order(storage, commit(upload_id), lambda: storage.models.delete("bob", "", MODEL, "x"))
    assert isinstance(committed, wb.Version)
    assert isinstance(deleted, wb.Model)
    assert deleted.latest_version == committed.version == 2
    with pytest.raises(ModelDeleted):
        storage.versions.resolve(committed.ref)
    with pytest.raises(ModelDeleted):
        commit(upload_id)()


def test_an_upload_that_outlives_the_deletion_makes_no_version(storage: Storage) -> None:
    """Its lease had run out when the model was deleted, and a renewal on its way brought it back."""
    one = chunk("outlives")
    upload_id = storage.begin()
    storage.send(upload_id, [one])
    storage.sql("UPDATE upload SET lease_expires_time = now() - interval '1 second'")
    storage.models.delete("bob", "", MODEL, "x")
    storage.sql("UPDATE upload SET lease_expires_time = now() + interval '1 hour'")
    with pytest.raises(ModelDeleted):
        storage.commit(upload_id, [file_of("a.bin", [one])])
    assert storage.sql("SELECT count(*) FROM version") == [(0,)]
    storage.models.restore("bob", "", MODEL)
    assert storage.commit(upload_id, [file_of("a.bin", [one])]).version == 1


# -- the command line --------------------------------------------------------------------------


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card in a file."""
    path = tmp_path / "card.md"
    path.write_text(SAID["card"])
    return path


def flags(card: Path | str) -> list[str]:
    """All that says something of a model."""
    return [item for field in SAID for item in (f"--{field}", str(card) if field == "card" else SAID[field])]


def piped(server: RunningServer, *arguments: str, stdin: bytes) -> Ran:
    """Runs the CLI with something on its standard input."""
    environment = {**os.environ, "WEIGHBRIDGE_SERVER": server.address}
    done = subprocess.run([*WEIGHBRIDGE, *arguments], input=stdin, capture_output=True, env=environment, check=False)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.long
def test_a_model_s_life_on_the_command_line(run_cli: RunCli, new_model: NewModel, card: Path, weights: Path) -> None:
    name = new_model()
    created = run_cli("model", "create", name, *flags(card))
    assert (created.code, created.err) == (0, "")
    assert created.out.startswith(f"created {name}\n")
    shown = run_cli("model", "show", name)
    for field in SAID:
        assert SAID[field] in shown.out
    assert run_cli("model", "update", name, "--team", "risk").out.startswith(f"updated {name}\n")
    run_cli("push", name, weights)
    whole = run_cli("model", "show", name, "--json").json
    assert {field: whole[field] for field in SAID} == {**SAID, "team": "risk"}
    assert (whole["name"], whole["latest_version"], whole["deletion"]) == (name, 1, None)
    deleted = run_cli("model", "delete", name, "--reason", "two\nlines 🚚")
    assert (deleted.code, deleted.err) == (0, "")
    for said in (f"deleted {name}\n", "1 version", f"weighbridge model restore {name}"):
        assert said in deleted.out
    refused_pull = run_cli("pull", name)
    assert refused_pull.code == 1
    assert refused_pull.err.startswith(f"error: MODEL_DELETED: model {name} was deleted at ")
    assert refused_pull.err.count("\n") == 1
    assert f"'weighbridge model restore {name}' brings it back" in refused_pull.err
    assert name not in run_cli("models", "-q").out.split()
    listed = {one["name"]: one for one in run_cli("models", "--deleted", "--json").json["models"]}
    assert listed[name]["deletion"]["reason"] == "two\nlines 🚚"
    assert "card" not in listed[name]
    assert name in run_cli("models", "--deleted", "-q").out.split()
    assert name in run_cli("models", "--deleted").out
    assert run_cli("model", "restore", name).out.startswith(f"restored {name}\n")
    assert run_cli("model", "show", name, "--json").json == whole
    assert name not in run_cli("models", "--deleted", "-q").out.split()


def test_a_card_is_read_from_standard_input(server: RunningServer, run_cli: RunCli, new_model: NewModel) -> None:
    name = new_model()
    assert piped(server, "model", "create", name, "--card", "-", stdin="# Größe 🚚\r\n".encode()).code == 0
    assert run_cli("model", "show", name, "--json").json["card"] == "# Größe 🚚\r\n"
    assert piped(server, "model", "update", name, "--card", "-", stdin=b"").code == 0
    assert run_cli("model", "show", name, "--json").json["card"] == ""


@pytest.mark.parametrize(
    ("stdin", "reason", "said"),
    [
        (b"x" * 65_537, "INVALID_REQUEST", "card: has more than 65536 bytes"),
        (b"ok \xff", "INVALID_REQUEST", "card: is not UTF-8 at byte 3"),
        (b"a\0b", "INVALID_REQUEST", "card: contains a NUL character"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused(
    server: RunningServer, new_model: NewModel, stdin: bytes, reason: str, said: str
) -> None:
    ran = piped(server, "model", "create", new_model(), "--card", "-", stdin=stdin)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {reason}: ")
    assert said in ran.err


@pytest.mark.long
def test_global_flags_work_anywhere(run_cli: RunCli, server: RunningServer, new_model: NewModel) -> None:
    name = new_model()
    assert run_cli("-q", "model", "create", name).out == f"{name}\n"
    for arguments in (
        ("--json", "model", "show", name),
        ("model", "--json", "show", name),
        ("model", "show", "--json", name),
        ("model", "show", name, "--json"),
    ):
        assert run_cli(*arguments).json["name"] == name
    here = ("--server", server.address)
    for where in ((*here, "model", "show"), ("model", *here, "show"), ("model", "show", *here)):
        assert run_cli(*where, "-q", name, address="127.0.0.1:1").out == f"{name}\n"
    for verb in (("update", name, "--team", "t"), ("delete", name, "--reason", "r"), ("restore", name)):
        assert run_cli("model", *verb, "-q").out == f"{name}\n"


@pytest.mark.parametrize(
    ("arguments", "reason", "said"),
    [
        (("show", "no.such.model"), "MODEL_NOT_FOUND", "no.such.model"),
        (("update", "no.such.model", "--team", "x"), "MODEL_NOT_FOUND", "no.such.model"),
        (("delete", "no.such.model", "--reason", "x"), "MODEL_NOT_FOUND", "no.such.model"),
        (("restore", "no.such.model"), "MODEL_NOT_FOUND", "no.such.model"),
        (("update", "a.b.c"), "INVALID_REQUEST", "changes nothing"),
        (("update", "a.b.c", "--owner", ""), "INVALID_REQUEST", "owner: is empty"),
        (("delete", "a.b.c", "--reason", " "), "INVALID_REQUEST", "reason: is empty"),
        (("create", "A.b.c"), "INVALID_NAME", "name.project: 'A' has 'A'"),
        (("create", "a.b.c", "--team", "x" * 300), "INVALID_REQUEST", "team: has 300 characters, at most 256"),
        (("create", "a.b.c", "--card", "/does/not/exist"), "SOURCE_UNREADABLE", "/does/not/exist"),
        (("create", "a.b.c", "--card", "/"), "SOURCE_UNREADABLE", "Is a directory"),
    ],
)
def test_a_refusal_names_what_is_wrong(run_cli: RunCli, arguments: tuple[str, ...], reason: str, said: str) -> None:
    ran = run_cli("model", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {reason}: ")
    assert said in ran.err
    document = run_cli("model", *arguments, "--json")
    assert (document.code, document.err) == (1, "")
    assert document.json["error"]["reason"] == reason


@pytest.mark.parametrize("verb", ["create", "show", "update", "delete", "restore"])
def test_the_help_of_each_has_examples_and_fits(run_cli: RunCli, verb: str) -> None:
    ran = run_cli("model", verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"  Examples:\n    weighbridge model {verb} " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [("delete", "a.b.c"), ("create",), ("fly", "a.b.c"), ("show", "a", "b")])
def test_what_the_parser_refuses_exits_2(run_cli: RunCli, arguments: tuple[str, ...]) -> None:
    ran = run_cli("model", *arguments)
    assert ran.code == 2
    assert "Usage" in ran.err


def test_a_deletion_that_is_refused_lists_the_holders(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    name = new_model()
    with client.begin(name) as version:
        version.add(weights)
        ran = run_cli("model", "delete", name, "--reason", "x")
    assert ran.code == 1
    assert ran.err.startswith(f"error: MODEL_IN_USE: model {name} is in use")
    assert "\n  uploads." in ran.err


def test_a_card_cannot_act_on_what_it_is_printed_to(run_cli: RunCli, client: wb.Client, new_model: NewModel) -> None:
    name = new_model()
    client.create_model(name, card="# A\x1b[2J\n\u202eb\tc\x07\n")
    out = run_cli("model", "show", name).out
    assert not {"\x1b", "\x07", "\u202e", "\t"} & set(out)
    assert "\\x1b[2J" in out
