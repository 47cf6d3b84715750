"""A deleted version is there for nobody, says why, holds what it held, and comes back as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from descent_fixtures import ONE, begun, committed, made, record
from raw_client import RawClient, refused
from storage_fixtures import MODEL, Storage, open_storage
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import ModelDeleted, VersionDeleted, VersionInUse, WeighbridgeError
from weighbridge.v1 import transfer_pb2, versions_pb2
from weighbridge_server.domain.registry.version_changes import VersionChanges

NewModel = Callable[[], str]


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


@pytest.fixture
def changes(storage: Storage) -> VersionChanges:
    """What changes versions on it."""
    return VersionChanges(storage.catalog)


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    """Plain stubs on the shared server."""
    with RawClient(server.address) as raw:
        yield raw


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file to push."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(10_000))
    return path


# -- gone --------------------------------------------------------------------------------------


def test_a_deleted_version_is_there_for_nobody_and_says_why(
    client: wb.Client, raw: RawClient, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    name = new_model()
    kept, ref = client.push(name, weights).version.ref, client.push(name, weights, tags={"a": 1}).version.ref
    deleted = client.delete_version(ref, reason="falsche Labels 🚚")
    assert deleted.deletion is not None
    assert (deleted.deletion.reason, deleted.ref) == ("falsche Labels 🚚", ref)
    assert deleted.record is not None
    attempts: list[Callable[[], object]] = [
        lambda: client.version(ref),
        lambda: client.resolve(ref),
        lambda: list(client.files(ref)),
        lambda: client.pull(ref, tmp_path / "out"),
        lambda: client.load(ref, include=["*"]),
        lambda: client.lineage(ref),
        lambda: client.update_version(ref, description="x"),
        lambda: client.delete_version(ref, reason="again"),
        lambda: client.begin(name, parent=ref),
        lambda: client.push(new_model(), weights, parent=ref),
    ]
    for attempt in attempts:
        with pytest.raises(wb.VersionDeleted) as raised:
            attempt()
        assert raised.value.code == "NOT_FOUND"
        assert raised.value.details["ref"] == ref
        assert raised.value.details["deletion_reason"] == "falsche Labels 🚚"
        assert raised.value.details["deleted_by"] == deleted.deletion.actor
        assert raised.value.details["deleted_time"] == f"{deleted.deletion.time:%Y-%m-%dT%H:%M:%SZ}"
        for said in (f"'weighbridge version restore {ref}'", deleted.deletion.actor, "falsche Labels 🚚"):
            assert said in raised.value.message
    read = transfer_pb2.ReadFileRequest(ref=ref, path="weights.bin")
    download = transfer_pb2.DownloadChunksRequest(ref=ref, digests=[bytes(32)])
    for call in (lambda: list(raw.transfer.ReadFile(read)), lambda: list(raw.transfer.DownloadChunks(download))):
        assert refused(call).reason == "VERSION_DELETED"
    assert not (tmp_path / "out").exists()
    # The names that stand for the newest stand for the newest that is there.
    for other in (name, f"{name}#{format_digest(deleted.manifest)}"):
        assert client.resolve(other).ref == kept
    assert [version.ref for version in client.versions(name)] == [kept]
    (listed,) = client.versions(name, deleted=True)
    assert (listed.ref, listed.deletion) == (ref, deleted.deletion)
    assert client.push(name, weights).version.ref == f"{name}:3"


def test_lists_leave_deleted_versions_out_unless_asked(
    raw: RawClient, client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    name = new_model()
    for _ in range(5):
        client.push(name, weights)
    for number in (5, 3):
        client.delete_version(f"{name}:{number}", reason="x")

    def pages(**asked: object) -> list[int]:
        found, token = [], ""
        while True:
            request = versions_pb2.ListVersionsRequest(page_size=1, page_token=token, **asked)  # type: ignore[arg-type]
            answer = raw.versions.ListVersions(request)
            found += [version.version for version in answer.versions]
            token = answer.next_page_token
            if not token:
                return found

    assert pages(model=name) == [4, 2, 1]
    assert pages(model=name, show_deleted=True) == [5, 4, 3, 2, 1]
    manifest = format_digest(client.version(name).manifest)
    assert pages(manifest_digest=manifest) == [4, 2, 1]


def test_where_all_are_deleted_the_error_says_so(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    name = new_model()
    ref = client.push(name, weights).version.ref
    client.delete_version(name, reason="x")
    with pytest.raises(wb.VersionNotFound) as raised:
        client.resolve(name)
    assert f"every version of {name} is deleted; 'weighbridge versions {name} --deleted'" in raised.value.message
    assert client.push(name, weights).version.ref == f"{name}:2"
    assert client.restore_version(ref).version == 1


def test_what_was_deleted_comes_back_as_it_was(
    client: wb.Client, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    name = new_model()
    ref = client.push(name, weights, params={"lr": 1}, metrics={"loss": 0.5}).version.ref
    before, resolved, files = client.version(ref), client.resolve(ref), list(client.files(ref))
    client.delete_version(ref, reason="a mistake")
    assert client.restore_version(ref) == before
    assert (client.version(ref), client.resolve(ref), list(client.files(ref))) == (before, resolved, files)
    assert (client.pull(ref, tmp_path / "out") / "weights.bin").read_bytes() == weights.read_bytes()
    assert list(client.versions(name, deleted=True)) == []
    with pytest.raises(wb.WrongState, match="is not deleted"):
        client.restore_version(ref)
    for wrong, error in (
        (name, wb.InvalidReference),
        (f"{name}@champion", wb.InvalidReference),
        (f"{name}:2", wb.VersionNotFound),
        ("no.such.model:1", wb.ModelNotFound),
    ):
        with pytest.raises(error):
            client.restore_version(wrong)


@pytest.mark.parametrize("reason", ["", " \n", "x" * 1025, "a\0"])
def test_a_deletion_has_a_reason(client: wb.Client, raw: RawClient, reason: str) -> None:
    with pytest.raises(wb.InvalidRequest) as raised:
        client.delete_version("a.b.c:1", reason=reason)
    assert [item.path for item in raised.value.violations] == ["reason"]
    refusal = refused(
        lambda: raw.versions.DeleteVersion(versions_pb2.DeleteVersionRequest(ref="a.b.c:1", reason=reason))
    )
    assert (refusal.reason, {path for path, _ in refusal.violations}) == ("INVALID_REQUEST", {"reason"})


def test_the_revision_is_that_of_what_made_a_name_stand_for_a_version(
    storage: Storage, changes: VersionChanges
) -> None:
    first, second, third = made(storage), made(storage), made(storage)
    changes.update("ada", "", second, {"a": 1}, [], None)

    def moved_by(ref: str) -> tuple[str, str, str]:
        resolved = storage.versions.resolve(ref)
        ((action, resource),) = storage.sql("SELECT action, resource FROM event WHERE revision = %s", resolved.revision)
        return resolved.ref, action, resource

    by_content = f"{MODEL}#{format_digest(storage.versions.get(first).manifest)}"
    assert moved_by(MODEL) == (third, "version.committed", third)
    changes.delete("ada", "", second, "x")
    assert moved_by(MODEL) == (third, "version.committed", third)
    changes.delete("ada", "", third, "x")
    for ref in (MODEL, by_content):
        assert moved_by(ref) == (first, "version.deleted", third)
    changes.restore("ada", "", second)
    for ref in (MODEL, by_content):
        assert moved_by(ref) == (second, "version.restored", second)
    for ref in (first, second):
        assert moved_by(ref) == (ref, "version.committed", ref)


# -- what holds it -----------------------------------------------------------------------------


def holders(error: VersionInUse) -> list[str]:
    """The kinds of what holds."""
    return [item.path for item in error.violations]


def test_all_that_holds_a_version_is_named_at_once(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    name = new_model()
    ref = client.push(name, weights).version.ref
    children = [client.push(model, weights, parent=ref).version.ref for model in (name, new_model())]
    client.set_alias(name, "champion", 1)
    client.promote(ref, "staging")
    upload = client.begin(new_model(), parent=ref)
    with pytest.raises(wb.VersionInUse) as raised:
        client.delete_version(ref, reason="x")
    assert raised.value.code == "FAILED_PRECONDITION"
    held = holders(raised.value)
    assert held[:-1] == ["stage", "aliases.champion", *(f"children.{child}" for child in children)]
    assert held[-1].startswith("uploads.")
    assert "begun by unauthenticated:" in raised.value.violations[-1].message
    # Each is let go of as its message says.
    upload.abort()
    client.promote(ref, "development")
    client.delete_alias(name, "champion")
    for child in children:
        client.delete_version(child, reason="x")
    assert client.delete_version(ref, reason="x").deletion is not None


def test_what_is_itself_gone_holds_nothing(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    begun(storage, record(ref))
    made(storage, ref, model="a.b.gone")
    child = made(storage, ref)
    with pytest.raises(VersionInUse) as raised:
        changes.delete("bob", "", ref, "x")
    assert len(holders(raised.value)) == 3
    storage.sql("UPDATE upload SET lease_expires_time = now() - interval '1 second'")
    storage.models.delete("bob", "", "a.b.gone", "x")
    with pytest.raises(VersionInUse) as raised:
        changes.delete("bob", "", ref, "x")
    assert holders(raised.value) == [f"children.{child}"]
    changes.delete("bob", "", child, "x")
    assert changes.delete("bob", "", ref, "x").deletion is not None
    assert changes.restore("bob", "", child).deletion is None  # its parent may stay deleted


def test_an_upload_that_outlives_its_parent_is_committed_all_the_same(
    storage: Storage, changes: VersionChanges
) -> None:
    """Its lease had run out when the parent was deleted, and a renewal on its way brought it back."""
    ref = made(storage)
    upload_id = begun(storage, record(ref))
    storage.sql("UPDATE upload SET lease_expires_time = now() - interval '1 second' WHERE state = 'open'")
    changes.delete("bob", "", ref, "x")
    storage.sql("UPDATE upload SET lease_expires_time = now() + interval '1 hour' WHERE state = 'open'")
    version = committed(storage, upload_id, record(ref))
    assert version.record is not None
    assert [parent.ref for parent in version.record.parents] == [ref]
    with pytest.raises(VersionDeleted):
        begun(storage, record(ref))


def test_the_chunks_of_a_deleted_version_need_not_be_sent_again(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    storage.sql("DELETE FROM upload_chunk")
    changes.delete("ada", "", ref, "x")
    assert storage.uploads.find_missing("ben", storage.begin("ben"), [ONE.digest]) == []


def test_models_and_their_versions_are_deleted_apart(storage: Storage, changes: VersionChanges) -> None:
    first, second = made(storage), made(storage)
    changes.delete("ada", "", first, "version")
    storage.models.delete("ada", "", MODEL, "model")
    attempts: list[Callable[[], object]] = [
        lambda: changes.restore("ada", "", first),
        lambda: changes.delete("ada", "", second, "x"),
        lambda: changes.update("ada", "", second, {"a": 1}, [], None),
        lambda: storage.versions.get(first),
    ]
    for attempt in attempts:
        with pytest.raises(ModelDeleted):
            attempt()
    storage.models.restore("ada", "", MODEL)
    assert storage.versions.get(second).deletion is None
    with pytest.raises(VersionDeleted):
        storage.versions.get(first)
    assert changes.restore("ada", "", first).ref == first


# -- calls that come twice, and the journal ----------------------------------------------------


def test_a_call_with_the_same_id_is_made_once(raw: RawClient, client: wb.Client, new_model: NewModel) -> None:
    name = raw.create(new_model())
    first, second = raw.push(name, b"1"), raw.push(name, b"2")
    delete = versions_pb2.DeleteVersionRequest(request_id=f"d-{name}", ref=name, reason="x")
    answer = raw.versions.DeleteVersion(delete)
    assert answer.ref == second
    assert raw.versions.DeleteVersion(delete) == answer  # and not the one that is the newest now
    assert client.resolve(name).ref == first
    restore = versions_pb2.RestoreVersionRequest(request_id=f"r-{name}", ref=second)
    assert raw.versions.RestoreVersion(restore) == raw.versions.RestoreVersion(restore)
    delete.reason, restore.ref = "y", first
    assert refused(lambda: raw.versions.DeleteVersion(delete)).reason == "REQUEST_ID_REUSED"
    assert refused(lambda: raw.versions.RestoreVersion(restore)).reason == "REQUEST_ID_REUSED"


def test_every_change_is_one_event_with_what_was_and_what_is(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    ((said,),) = storage.sql("SELECT after FROM event WHERE action = 'version.committed'")
    there = {name: json.loads(said)[name] for name in ("version", "manifest_digest", "record_digest", "stage")}
    changes.delete("eve", "", ref, "old")
    changes.restore("bob", "", ref)
    gone = {**there, "deletion": {"actor": "eve", "reason": "old"}}
    rows = storage.sql(
        "SELECT actor, action, before, after FROM event WHERE resource = %s ORDER BY revision OFFSET 1", ref
    )
    assert [(actor, action, json.loads(before), json.loads(after)) for actor, action, before, after in rows] == [
        ("eve", "version.deleted", there, gone),
        ("bob", "version.restored", gone, there),
    ]
    list(storage.journal.verify())


def test_what_is_refused_leaves_no_event(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    made(storage, ref)
    ((before,),) = storage.sql("SELECT count(*) FROM event")
    attempts: list[Callable[[], object]] = [
        lambda: changes.delete("ada", "", ref, "held"),
        lambda: changes.delete("ada", "", f"{MODEL}:3", "absent"),
        lambda: changes.restore("ada", "", ref),
    ]
    for attempt in attempts:
        with pytest.raises(WeighbridgeError):
            attempt()
    assert storage.sql("SELECT count(*) FROM event") == [(before,)]


# -- the command line --------------------------------------------------------------------------


@pytest.mark.long
def test_a_version_s_later_life_on_the_command_line(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    name = new_model()
    client.push(name, weights)
    ref = client.push(name, weights).version.ref
    assert run_cli("versions", name, "--deleted").out == "no deleted versions\n"
    deleted = run_cli("version", "delete", ref, "--reason", "two\nlines 🚚")
    assert (deleted.code, deleted.err) == (0, "")
    assert deleted.out.startswith(f"deleted {ref}\n")
    assert f"weighbridge version restore {ref}\n" in deleted.out
    shown = run_cli("show", ref)
    assert (shown.code, shown.out, shown.err.count("\n")) == (1, "", 1)
    assert shown.err.startswith(f"error: VERSION_DELETED: {ref} was deleted at ")
    assert run_cli("versions", name, "-q").out == f"{name}:1\n"
    assert run_cli("versions", name, "--deleted", "-q").out == f"{ref}\n"
    table = run_cli("versions", name, "--deleted").out.splitlines()
    assert (len(table), table[1].split()[0], table[1].endswith("two\\nlines 🚚")) == (2, ref, True)
    (listed,) = run_cli("versions", name, "--deleted", "--json").json["versions"]
    assert (listed["deletion"]["reason"], listed["purged_time"]) == ("two\nlines 🚚", None)
    restored = run_cli("version", "restore", ref)
    assert (restored.code, restored.out.startswith(f"restored {ref}\n")) == (0, True)
    assert run_cli("version", "delete", ref, "--reason", "x", "--json").json["deletion"]["reason"] == "x"
    assert run_cli("version", "restore", ref, "-q").out == f"{ref}\n"


def test_a_deletion_that_is_refused_lists_the_holders(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    ref = client.push(new_model(), weights).version.ref
    child = client.push(new_model(), weights, parent=ref).version.ref
    ran = run_cli("version", "delete", ref, "--reason", "x")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: VERSION_IN_USE: {ref} is in use and cannot be deleted")
    assert ran.err.splitlines()[1:] == [f"  children.{child}: was made from it; delete that one first"]


@pytest.mark.parametrize("verb", ["tag", "describe", "delete", "restore"])
def test_the_help_of_each_has_examples_and_fits(run_cli: RunCli, verb: str) -> None:
    ran = run_cli("version", verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"  Examples:\n    weighbridge version {verb} " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_restoring_needs_a_number(run_cli: RunCli) -> None:
    ran = run_cli("version", "restore", "a.b.c")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: INVALID_REFERENCE: 'a.b.c' does not say which deleted version")
