"""How curves are kept: in blocks, under a log that the version takes over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

import weighbridge as wb
from storage_fixtures import MODEL, Storage, chunk, file_of, open_storage
from weighbridge.core.curves import curves_of
from weighbridge.core.limits import METRIC_POINTS_PER_VERSION
from weighbridge.core.manifest import manifest_digest
from weighbridge.core.values import MetricPoint, Record
from weighbridge_server.domain.metrics.metrics import Metrics

NOW = datetime(2026, 10, 1, 8, 30, 0, 123456, tzinfo=UTC)
REF = f"{MODEL}:1"
FILE = chunk("weights")


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


def begin(storage: Storage) -> str:
    """An upload that can be committed."""
    upload_id = storage.begin()
    storage.send(upload_id, [FILE])
    storage.uploads.put_manifest("ada", upload_id, [file_of("weights.bin", [FILE])])
    return upload_id


def commit(storage: Storage, upload_id: str, points: Sequence[MetricPoint] = ()) -> str:
    manifest = manifest_digest([file_of("weights.bin", [FILE])])
    return storage.uploads.commit("ada", upload_id, manifest, Record(), points).ref


def log(storage: Storage, upload_id: str, first: int, *points: MetricPoint) -> None:
    Metrics(storage.catalog).log_to_upload("ada", upload_id, "w", first, curves_of(points, NOW))


def points_of(storage: Storage, ref: str) -> dict[str, list[tuple[int, datetime, float]]]:
    return {
        name: list(zip(curve.steps.tolist(), curve.times.tolist(), curve.values.tolist(), strict=True))
        for curve in Metrics(storage.catalog).read(ref, [], 0)
        for name in [curve.name]
    }


def counts(storage: Storage) -> dict[str, int]:
    tables = ("metric_log", "metric_writer", "metric_block", "metric_summary")
    return {table: storage.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_points_that_come_one_by_one_leave_few_blocks(storage: Storage) -> None:
    upload_id = begin(storage)
    for step in range(200):
        log(storage, upload_id, 2 * step + 1, MetricPoint("a", step, step), MetricPoint("b", -step, step))
    blocks = storage.sql("SELECT name, first_point, points FROM metric_block ORDER BY name, first_point")
    assert blocks == [(name, first, min(64, 200 - first)) for name in "ab" for first in (0, 64, 128, 192)]
    ref = commit(storage, upload_id)
    assert [step for step, _, _ in points_of(storage, ref)["b"]] == list(range(200))
    assert storage.sql("SELECT names, points FROM metric_log") == [(2, 400)]


def test_a_commit_takes_the_log_over_and_copies_nothing(storage: Storage) -> None:
    upload_id = begin(storage)
    log(storage, upload_id, 1, MetricPoint("loss", 0.5, 1), MetricPoint("loss", 0.25, 2))
    before = storage.sql("SELECT b.log_id, b.ctid FROM metric_block b JOIN upload u ON u.metric_log_id = b.log_id")
    commit(storage, upload_id)
    assert (
        storage.sql("SELECT b.log_id, b.ctid FROM metric_block b JOIN version v ON v.metric_log_id = b.log_id")
        == before
    )
    assert storage.sql("SELECT metric_log_id FROM upload") == [(None,)]


def test_a_forgotten_upload_leaves_no_points_and_a_committed_one_all(storage: Storage) -> None:
    kept, dropped = begin(storage), begin(storage)
    for upload_id in (kept, dropped):
        log(storage, upload_id, 1, MetricPoint("loss", 0.5, 1))
    commit(storage, kept)
    storage.uploads.abort("ada", dropped)
    assert counts(storage) == {"metric_log": 2, "metric_writer": 2, "metric_block": 2, "metric_summary": 2}
    with storage.catalog.transaction() as tx:
        assert tx.uploads.forget(-1, 20) == 2
    assert counts(storage) == {"metric_log": 1, "metric_writer": 1, "metric_block": 1, "metric_summary": 1}
    assert len(points_of(storage, REF)["loss"]) == 1


def test_a_version_has_a_limit_of_points(storage: Storage) -> None:
    upload_id = begin(storage)
    log(storage, upload_id, 1, MetricPoint("loss", 0.5, 1))
    storage.sql("UPDATE metric_log SET points = %s", METRIC_POINTS_PER_VERSION - 1)
    log(storage, upload_id, 2, MetricPoint("loss", 0.25, 2))
    with pytest.raises(wb.LimitExceeded, match="10000001 points of metrics; it has at most 10000000"):
        log(storage, upload_id, 3, MetricPoint("auc", 0.5, 3))
    with pytest.raises(wb.LimitExceeded):
        commit(storage, upload_id, [MetricPoint("auc", 0.5, 3)])
    ref = commit(storage, upload_id)
    with pytest.raises(wb.LimitExceeded):
        Metrics(storage.catalog).log_to_version("ada", ref, "w", 3, curves_of([MetricPoint("auc", 0.5)], NOW))
    assert [summary.name for summary in storage.versions.get(ref).metrics or ()] == ["loss"]


def test_a_refused_request_can_be_sent_again_in_part(storage: Storage) -> None:
    """The numbers of points that were not taken are not used up."""
    upload_id = begin(storage)
    storage.sql("UPDATE metric_log SET points = %s", METRIC_POINTS_PER_VERSION - 1)
    with pytest.raises(wb.LimitExceeded):
        log(storage, upload_id, 1, MetricPoint("loss", 0.5), MetricPoint("loss", 0.25))
    log(storage, upload_id, 1, MetricPoint("loss", 0.5))
    assert len(points_of(storage, commit(storage, upload_id))["loss"]) == 1


def test_a_curve_whose_blocks_are_gone_is_an_error(storage: Storage) -> None:
    upload_id = begin(storage)
    log(storage, upload_id, 1, MetricPoint("loss", 0.5, 1))
    commit(storage, upload_id)
    storage.sql("DELETE FROM metric_block")
    with pytest.raises(wb.DataLoss, match="the curve of 'loss' has no point 0"):
        list(Metrics(storage.catalog).read(REF, [], 0))
