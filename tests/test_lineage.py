"""Lineage: what a version was made from, what was made from it and from a dataset, and why it has no circles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import weighbridge as wb
from descent_fixtures import begun, committed, generations, made, record, steps
from storage_fixtures import MODEL, Storage, open_storage
from weighbridge.core.errors import VersionDeleted, VersionNotFound
from weighbridge.core.lineage import Lineage
from weighbridge.core.values import Dataset, Relation
from weighbridge_server.domain.registry.lineage import Lineages
from weighbridge_server.domain.registry.version_changes import VersionChanges

NewModel = Callable[[], str]
DATA = Dataset("transactions", "2026-10", "sha256:" + "ab" * 32, role="train")


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file to push."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


# -- what it says ------------------------------------------------------------------------------


def test_data_relations_and_the_whole_way_over_the_wire(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    base, tuned = new_model(), new_model()
    first = client.push(base, weights, datasets=[DATA]).version.ref
    second = client.push(base, weights, parent=first).version.ref
    parents = [wb.Parent(second, Relation.DISTILLED), wb.Parent(first, Relation.MERGED)]
    third = client.push(tuned, weights, parent=parents).version.ref
    lineage = client.lineage(second)
    assert generations(lineage) == {second: 0, first: -1, third: 1}
    # The step past the origin is one between two that are listed.
    assert steps(lineage) == {
        (second, first, "fine-tuned"),
        (third, second, "distilled"),
        (third, first, "merged"),
    }
    assert [tuple(node.datasets) for node in lineage.nodes] == [(), (DATA,), ()]
    (node,) = (node for node in lineage.nodes if node.version.ref == third)
    assert node.version.record is None
    assert node.version.manifest == client.version(third).manifest
    assert generations(client.lineage(tuned, direction="up", depth=1)) == {third: 0, second: -1, first: -1}
    assert generations(client.lineage(base, direction="down")) == {second: 0, third: 1}


def test_which_versions_were_made_from_a_dataset_is_one_call(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    digest = f"sha256:{new_model()}"
    name = new_model()
    used = client.push(name, weights, datasets=[Dataset("d", "1", digest)]).version.ref
    again = client.push(name, weights, parent=used, datasets=[Dataset("e", "1", digest)]).version.ref
    after = client.push(new_model(), weights, parent=again).version.ref
    client.push(name, weights, datasets=[Dataset("d", "2", f"{digest}0")])
    assert generations(client.lineage(dataset_digest=digest)) == {used: 0, again: 0, after: 1}
    assert generations(client.lineage(dataset_digest=digest, depth=1)) == {used: 0, again: 0, after: 1}
    assert client.lineage(dataset_digest=f"{digest}1") == Lineage((), ())


def test_two_relations_to_one_parent_are_two_steps(storage: Storage) -> None:
    first = made(storage)
    second = made(storage, first, (first, Relation.DISTILLED), first)
    lineage = Lineages(storage.catalog).of_version(second, "both", 0)
    assert steps(lineage) == {(second, first, "fine-tuned"), (second, first, "distilled")}


def test_deleted_versions_are_in_it_and_marked(storage: Storage) -> None:
    changes = VersionChanges(storage.catalog)
    first = made(storage, model="a.b.base")
    second = made(storage, first)
    third = made(storage, second, model="a.b.other")
    storage.models.delete("bob", "", "a.b.other", "model gone")
    changes.delete("bob", "", second, "version gone")
    lineage = Lineages(storage.catalog).of_version(first, "down", 0)
    assert generations(lineage) == {first: 0, second: 1, third: 2}
    reasons = [node.version.deletion and node.version.deletion.reason for node in lineage.nodes]
    assert reasons == [None, "version gone", "model gone"]
    with pytest.raises(VersionDeleted):
        Lineages(storage.catalog).of_version(second, "both", 0)


# -- no circles --------------------------------------------------------------------------------

WHY = "A version can only descend from versions that are committed before it"


def test_a_version_cannot_descend_from_what_is_not_committed(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    name = new_model()
    client.push(name, weights)
    with pytest.raises(VersionNotFound) as raised:  # itself, as it were
        client.push(name, weights, parent=f"{name}:2")
    assert raised.value.message == f"there is no {name}:2; the newest is {name}:1. {WHY}"
    assert raised.value.violations == ()
    assert client.push(name, weights, parent=name).version.ref == f"{name}:2"


def test_a_commit_is_held_to_it_too(storage: Storage) -> None:
    upload_id = begun(storage, record())
    with pytest.raises(VersionNotFound, match=WHY):
        committed(storage, upload_id, record(f"{MODEL}:1"))
    assert committed(storage, upload_id, record()).version == 1


def test_all_parents_that_are_wrong_are_named(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    name = new_model()
    good = client.push(name, weights).version.ref
    with pytest.raises(VersionNotFound) as raised:
        client.push(name, weights, parent=[f"{name}:5", good, "no.such.model:1"])
    assert [item.path for item in raised.value.violations] == ["parents[0].ref", "parents[2].ref"]
    assert "there is no model no.such.model" in raised.value.violations[1].message


def test_all_references_that_cannot_be_pinned_are_named(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    there, gone = client.push(new_model(), weights).version.ref, new_model()
    with pytest.raises(wb.ModelNotFound) as raised:
        client.begin(new_model(), parent=[there, gone, f"{there.partition(':')[0]}@blue", "no reference"])
    assert [violation.path for violation in raised.value.violations] == [f"parents[{n}].ref" for n in (1, 2, 3)]


def test_one_parent_may_come_alone(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    there = client.push(new_model(), weights).version.ref
    made = client.push(new_model(), weights, parent=wb.Parent(there, wb.Relation.DISTILLED)).version
    assert made.record is not None
    assert made.record.parents == (wb.Parent(there, wb.Relation.DISTILLED),)


def test_the_table_holds_no_circle(storage: Storage) -> None:
    made(storage, made(storage))
    first, second = (key for (key,) in storage.sql("SELECT id FROM version ORDER BY id"))
    for child, parent in ((first, second), (first, first)):
        with pytest.raises(psycopg.errors.CheckViolation):
            storage.sql("INSERT INTO version_parent VALUES (%s, %s, 'merged')", child, parent)


def test_descent_of_earlier_releases_is_filled_in(storage: Storage, tmp_path: Path) -> None:
    first = made(storage, model="a.b.base")
    second = made(storage, first, (first, Relation.DISTILLED), first)
    made(storage, second, (first, Relation.MERGED), model="a.b.other")
    rows = "SELECT * FROM version_parent ORDER BY version_id, parent_id, relation"
    there = storage.sql(rows)
    assert len(there) == 4
    storage.sql("DROP TABLE version_parent")
    storage.sql("DROP INDEX version_deleted_time")
    storage.sql("DELETE FROM schema_migration WHERE name = '0008_lineage'")
    with open_storage(storage.url, tmp_path / "again") as again:
        assert again.sql(rows) == there


# -- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"ref": "a.b.c", "dataset_digest": "x"},
        {"dataset_digest": ""},
        {"ref": "a.b.c", "direction": "sideways"},
        {"ref": "a.b.c", "depth": -1},
        {"ref": "a.b.c", "depth": 10_001},
        {"dataset_digest": "\udc80"},
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_sent(wrong: dict[str, object]) -> None:
    with wb.connect("127.0.0.1:1") as nowhere, pytest.raises(wb.UsageError):
        nowhere.lineage(**wrong)  # type: ignore[arg-type]


def test_what_is_not_there_has_no_lineage(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    name = client.push(new_model(), weights).version.model
    with pytest.raises(wb.ModelNotFound):
        client.lineage("no.such.model")
    with pytest.raises(wb.VersionNotFound):
        client.lineage(f"{name}:2")
    with pytest.raises(wb.InvalidReference):
        client.lineage(f"{name}:0")
    with pytest.raises(wb.InvalidRequest):
        client.lineage(dataset_digest="a\0b")
