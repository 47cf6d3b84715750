"""Children and deletions at once: either the deletion sees the child, or the child is told of the deletion."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from descent_fixtures import begun, committed, made, record
from row_locks import in_this_order
from storage_fixtures import MODEL, Storage, open_storage
from weighbridge.core.errors import VersionDeleted, VersionInUse, WrongState
from weighbridge.core.values import Version
from weighbridge_server.domain.registry.purge import purge_deleted
from weighbridge_server.domain.registry.version_changes import VersionChanges

CHILD = "vision.defects.child"
"""Another model than the parent's: what holds the two together is not the child's own lock."""


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database, with a model for children."""
    with open_storage(empty_database, tmp_path / "packs", connections=16) as storage:
        storage.models.create("ada", "", CHILD, "", "")
        yield storage


@pytest.fixture
def changes(storage: Storage) -> VersionChanges:
    """What changes versions on it."""
    return VersionChanges(storage.catalog)


def test_a_begin_behind_the_deletion_of_its_parent_is_refused(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    deleted, began = in_this_order(
        storage,
        lambda: changes.delete("bob", "", ref, "x"),
        lambda: storage.uploads.begin("ada", "", CHILD, record(ref)),
    )
    assert isinstance(deleted, Version)
    assert isinstance(began, VersionDeleted)
    assert storage.sql("SELECT count(*) FROM upload WHERE state = 'open'") == [(0,)]


def test_a_deletion_behind_the_begin_of_a_child_is_refused(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    began, deleted = in_this_order(
        storage,
        lambda: storage.uploads.begin("ada", "", CHILD, record(ref)),
        lambda: changes.delete("bob", "", ref, "x"),
    )
    assert not isinstance(began, Exception)
    assert isinstance(deleted, VersionInUse)


@pytest.mark.parametrize("named_at_begin", [True, False])
def test_a_deletion_behind_the_commit_of_a_child_is_refused(
    storage: Storage, changes: VersionChanges, named_at_begin: bool
) -> None:
    ref = made(storage)
    upload_id = begun(storage, record(*([ref] if named_at_begin else [])), CHILD)
    child, deleted = in_this_order(
        storage,
        lambda: committed(storage, upload_id, record(ref)),
        lambda: changes.delete("bob", "", ref, "x"),
    )
    assert isinstance(child, Version)
    assert isinstance(deleted, VersionInUse)
    assert [item.path for item in deleted.violations] == [f"children.{child.ref}"]


def test_a_commit_behind_a_deletion_keeps_its_parent_and_the_deletion_saw_its_upload(
    storage: Storage, changes: VersionChanges
) -> None:
    ref = made(storage)
    named, unnamed = begun(storage, record(ref), CHILD), begun(storage, record(), CHILD)
    deleted, child = in_this_order(
        storage, lambda: changes.delete("bob", "", ref, "x"), lambda: committed(storage, named, record(ref))
    )
    assert isinstance(deleted, VersionInUse)
    assert [item.path for item in deleted.violations] == [f"uploads.{named}"]
    assert isinstance(child, Version)
    changes.delete("bob", "", child.ref, "x")
    deleted, late = in_this_order(
        storage, lambda: changes.delete("bob", "", ref, "x"), lambda: committed(storage, unnamed, record(ref))
    )
    assert isinstance(deleted, Version)
    assert isinstance(late, Version)


def test_children_of_each_other_s_models_are_committed_at_once(storage: Storage) -> None:
    """Locked in another order than that of the names, two of these would wait for each other."""
    models = [f"vision.defects.m{number}" for number in range(4)]
    first = {model: made(storage, model=model) for model in models}
    together = threading.Barrier(len(models))

    def work(place: int) -> None:
        others = [first[model] for model in models[place + 1 :] + models[:place]]
        together.wait(30)
        for _ in range(6):
            made(storage, *others, model=models[place])

    with ThreadPoolExecutor(len(models)) as threads:
        list(threads.map(work, range(len(models))))
    assert storage.sql("SELECT count(*) FROM version_parent") == [(4 * 6 * 3,)]


def test_children_and_deletions_in_a_crowd(storage: Storage, changes: VersionChanges) -> None:
    """No child was begun of a parent that was gone, and no parent went while a child was there."""
    parents = [made(storage) for _ in range(12)]
    together = threading.Barrier(4)

    def bear(number: int) -> None:
        together.wait(30)
        for ref in parents[number % 2 :: 2]:
            try:
                made(storage, ref, model=f"{CHILD}-{number}")
            except VersionDeleted:
                continue

    def delete(number: int) -> None:
        together.wait(30)
        for ref in parents[number % 2 :: 2]:
            try:
                changes.delete("bob", "", ref, "x")
            except VersionInUse:
                continue

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(work, number) for number in range(2) for work in (bear, delete)]
        for work in running:
            work.result()
    orphans = storage.sql(
        """
        SELECT count(*) FROM version_parent e
        JOIN version c ON c.id = e.version_id JOIN version p ON p.id = e.parent_id
        WHERE c.deleted_time IS NULL AND p.deleted_time IS NOT NULL
        """
    )
    assert orphans == [(0,)]
    ((gone, kept),) = storage.sql(
        """
        SELECT count(*) FILTER (WHERE v.deleted_time IS NOT NULL), count(e.version_id)
        FROM version v JOIN model m ON m.id = v.model_id LEFT JOIN version_parent e ON e.parent_id = v.id
        WHERE m.name = %s
        """,
        MODEL,
    )
    assert gone + kept == len(parents)


def test_of_two_that_delete_one_finds_it_gone(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    first, second = in_this_order(
        storage, lambda: changes.delete("bob", "", ref, "b"), lambda: changes.delete("eve", "", ref, "e")
    )
    assert isinstance(first, Version)
    assert isinstance(second, VersionDeleted)
    assert second.details["deletion_reason"] == "b"
    first, second = in_this_order(
        storage, lambda: changes.restore("bob", "", ref), lambda: changes.restore("eve", "", ref)
    )
    assert isinstance(first, Version)
    assert isinstance(second, WrongState)


def test_a_purge_and_a_restoration_are_one_after_the_other(storage: Storage, changes: VersionChanges) -> None:
    kept, lost = made(storage), made(storage)
    for ref in (kept, lost):
        changes.delete("bob", "", ref, "x")
    storage.sql("UPDATE version SET deleted_time = deleted_time - interval '2 days' WHERE number = 1")
    purge = partial(purge_deleted, storage.catalog, 24 * 3600)
    restored, purged = in_this_order(storage, lambda: changes.restore("bob", "", kept), purge)
    assert isinstance(restored, Version)
    assert purged == 0
    assert storage.versions.get(kept).purged_time is None
    storage.sql("UPDATE version SET deleted_time = deleted_time - interval '2 days' WHERE number = 2")
    first, second, restored = in_this_order(storage, purge, purge, lambda: changes.restore("bob", "", lost))
    assert (first, second) == (1, 0)
    assert isinstance(restored, VersionDeleted)
    assert storage.sql("SELECT count(*) FROM event WHERE action = 'version.purged'") == [(1,)]
