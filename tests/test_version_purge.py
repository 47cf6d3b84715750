"""What was deleted long ago is let go of for good; its number and its place in the lineage stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from descent_fixtures import ONE, generations, made
from storage_fixtures import MODEL, Storage, chunk, file_of, open_storage
from weighbridge.core.errors import StartupFailed, VersionDeleted
from weighbridge.core.manifest import manifest_digest
from weighbridge.core.values import Dataset, Environment, MetricPoint, Record, SourceCode
from weighbridge_server.domain.housekeeping import Housekeeping
from weighbridge_server.domain.registry.lineage import Lineages
from weighbridge_server.domain.registry.version_changes import VersionChanges
from weighbridge_server.settings import load

DATA = Dataset("d", "1", "sha256:ab")


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


@pytest.fixture
def changes(storage: Storage) -> VersionChanges:
    """What changes versions on it."""
    return VersionChanges(storage.catalog)


def days_pass(storage: Storage, days: float) -> None:
    """Since every deletion."""
    storage.sql("UPDATE version SET deleted_time = deleted_time - make_interval(secs => %s)", days * 24 * 3600)


def keep_house(storage: Storage, purge_after_days: float = 30.0) -> None:
    """One turn of what is done now and then."""
    Housekeeping(storage.catalog, purge_after_days=purge_after_days).run_once()


def purged(storage: Storage) -> list[int]:
    """The numbers of those that are, in order of their purge."""
    rows = storage.sql("SELECT resource FROM event WHERE action = 'version.purged' ORDER BY revision")
    return [int(resource.split(":")[1]) for (resource,) in rows]


def test_a_version_is_purged_once_its_time_is_over(storage: Storage, changes: VersionChanges) -> None:
    kept, restored, long_ago, lately = (made(storage) for _ in range(4))
    changes.delete("ada", "", long_ago, "x")
    changes.delete("ada", "", restored, "x")
    days_pass(storage, 20)
    changes.delete("ada", "", lately, "x")
    keep_house(storage)
    assert purged(storage) == []
    days_pass(storage, 10.1)
    changes.restore("ada", "", restored)
    keep_house(storage)
    keep_house(storage)
    assert purged(storage) == [3]
    assert storage.versions.get(restored).ref == restored
    assert list(storage.reading.chunks(kept, [ONE.digest])) == [ONE]
    assert changes.restore("ada", "", lately).ref == lately


@pytest.mark.long
def test_many_are_purged_in_one_turn(storage: Storage, changes: VersionChanges) -> None:
    refs = [made(storage) for _ in range(3)]
    storage.sql("INSERT INTO metric_log (id) OVERRIDING SYSTEM VALUE SELECT generate_series(1001, 1250)")
    storage.sql(
        """
        INSERT INTO version (model_id, number, manifest, stage, creator, files_total, bytes_total, chunks_total,
                             record, metric_log_id, deleted_time, deleted_by, deletion_reason)
        SELECT model_id, n + 3, manifest, stage, creator, 0, 0, 0, record, n + 1000, now(), 'ada', 'x'
        FROM version CROSS JOIN generate_series(1, 250) AS n WHERE number = 1
        """
    )
    days_pass(storage, 31)
    keep_house(storage)
    assert sorted(purged(storage)) == list(range(4, 254))
    assert storage.versions.get(refs[0]).ref == refs[0]
    list(storage.journal.verify())


def test_without_a_retention_time_nothing_is_purged(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage)
    changes.delete("ada", "", ref, "x")
    days_pass(storage, 10_000)
    keep_house(storage, 0)
    assert purged(storage) == []
    keep_house(storage, 9_999.5)
    assert purged(storage) == [1]


def test_what_is_purged_is_gone_for_good(storage: Storage, changes: VersionChanges) -> None:
    own, shared = chunk("its own"), ONE
    made(storage)
    files = [file_of("own.bin", [own]), file_of("shared.bin", [shared])]
    record = Record(
        description="said",
        params={"lr": 1},
        tags={"a": "b"},
        datasets=(DATA,),
        source=SourceCode(commit="c0ffee"),
        environment=Environment(python="3.11", packages={"numpy": "2"}),
    )
    upload_id = storage.uploads.begin("ada", "", MODEL, record).upload_id
    storage.send(upload_id, [own])
    assert storage.uploads.find_missing("ada", upload_id, [shared.digest]) == []
    storage.uploads.put_manifest("ada", upload_id, files)
    points = [MetricPoint("loss", 0.5, step) for step in range(100)]
    ref = storage.uploads.commit("ada", upload_id, manifest_digest(files), record, points).ref
    changes.delete("eve", "", ref, "falsch 🚚")
    days_pass(storage, 31)
    storage.sql("UPDATE upload SET ended_time = ended_time - interval '25 hours'")
    keep_house(storage)
    with pytest.raises(VersionDeleted) as raised:
        storage.versions.get(ref)
    message = raised.value.message
    assert message.startswith(f"{ref} was deleted at ")
    assert "its files are gone for good. The reason given: falsch 🚚" in message
    assert "restore" not in message
    assert raised.value.details["purged_time"]
    attempts: list[Callable[[], object]] = [
        lambda: changes.restore("ada", "", ref),
        lambda: changes.delete("ada", "", ref, "again"),
        lambda: storage.reading.chunks(ref, [own.digest]),
    ]
    for attempt in attempts:
        with pytest.raises(VersionDeleted):
            attempt()
    # Nobody is told any more that its own chunk is there; what another version holds still is.
    missing = storage.uploads.find_missing("ben", storage.begin("ben"), [own.digest, shared.digest])
    assert missing == [own.digest]
    ((key, log),) = storage.sql("SELECT id, metric_log_id FROM version WHERE number = 2")
    for table in ("metric_block", "metric_summary", "metric_writer"):
        assert storage.sql(f"SELECT count(*) FROM {table} WHERE log_id = %s", log) == [(0,)]
    for table, left in (("version_file", 0), ("version_dataset", 1)):
        assert storage.sql(f"SELECT count(*) FROM {table} WHERE version_id = %s", key) == [(left,)]
    facts = storage.sql("SELECT section, name, text FROM version_fact WHERE version_id = %s", key)
    assert facts == [("", "description", "")]
    assert storage.sql("SELECT package_list_id FROM version WHERE id = %s", key) == [(None,)]


def test_its_number_and_its_place_in_the_lineage_stay(storage: Storage, changes: VersionChanges) -> None:
    first = made(storage, datasets=[DATA])
    second = made(storage, first, datasets=[DATA])
    third = made(storage, second)
    for ref in (third, second):
        changes.delete("ada", "", ref, "x")
    days_pass(storage, 31)
    keep_house(storage)
    assert sorted(purged(storage)) == [2, 3]
    lineages = Lineages(storage.catalog)
    lineage = lineages.of_version(first, "down", 0)
    assert generations(lineage) == {first: 0, second: 1, third: 2}
    assert [node.version.purged_time is not None for node in lineage.nodes] == [False, True, True]
    assert [tuple(node.datasets) for node in lineage.nodes] == [(DATA,), (DATA,), ()]
    assert generations(lineages.of_dataset(DATA.digest, 0)) == {first: 0, second: 0, third: 1}
    assert changes.delete("ada", "", first, "x").deletion is not None
    assert made(storage) == f"{MODEL}:4"
    listed, _ = storage.versions.list(MODEL, "", 10, "", show_deleted=True)
    assert [version.version for version in listed] == [4, 3, 2, 1]


def test_a_purge_is_one_event_of_the_system(storage: Storage, changes: VersionChanges) -> None:
    ref = made(storage, datasets=[DATA])
    changes.delete("eve", "", ref, "old")
    days_pass(storage, 31)
    keep_house(storage)
    rows = storage.sql("SELECT actor, before, after FROM event WHERE action IN ('version.deleted', 'version.purged')")
    (_, _, deleted), (actor, before, after) = rows
    assert (actor, before) == ("system", deleted)
    assert json.loads(after) == {**json.loads(before), "purged": True}  # its record had nothing but its data
    list(storage.journal.verify())


def test_versions_of_deleted_models_are_purged_where_they_were_deleted_themselves(
    storage: Storage, changes: VersionChanges
) -> None:
    first, second = made(storage), made(storage)
    changes.delete("ada", "", first, "x")
    storage.models.delete("ada", "", MODEL, "x")
    days_pass(storage, 31)
    storage.sql("UPDATE model SET deleted_time = deleted_time - interval '31 days'")
    keep_house(storage)
    assert purged(storage) == [1]
    storage.models.restore("ada", "", MODEL)
    assert list(storage.reading.chunks(second, [ONE.digest])) == [ONE]


def test_how_long_is_a_setting() -> None:
    assert load({}, None).purge_after_days == 30.0
    assert load({"purge_after_days": 0.5}, None).purge_after_days == 0.5
    assert load({"purge_after_days": 0}, None).purge_after_days == 0
    for wrong in (-1, "soon", float("inf"), 1e9):
        with pytest.raises(StartupFailed) as raised:
            load({"purge_after_days": wrong}, None)
        assert [item.path for item in raised.value.violations] == ["purge_after_days"]
