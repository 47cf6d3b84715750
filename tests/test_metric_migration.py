"""The single points of metrics that earlier releases kept become curves."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from playhouse.migrations import Runner

from storage_fixtures import MODEL, Storage, open_storage
from weighbridge.core.curves import curves_of
from weighbridge.core.values import MetricPoint, MetricSummary, Record
from weighbridge_server.domain.metrics.metrics import Metrics
from weighbridge_server.domain.registry.record_text import record_text
from weighbridge_server.storage.database import _MIGRATIONS, PooledDatabase

NOW = datetime(2026, 10, 1, 8, 30, 0, 123456, tzinfo=UTC)
REF = f"{MODEL}:1"
RECORD = record_text(Record())


def read(storage: Storage, ref: str) -> dict[str, list[tuple[int, datetime, float]]]:
    """The points of a version, by metric."""
    return {
        curve.name: list(zip(curve.steps.tolist(), curve.times.tolist(), curve.values.tolist(), strict=True))
        for curve in Metrics(storage.catalog).read(ref, [], 0)
    }


def migrate_to(url: str, target: str) -> None:
    database = PooledDatabase(url, connections=2)
    database.open()
    try:
        with database.session():
            runner: Any = Runner
            runner(database, str(_MIGRATIONS), table_name="schema_migration").up(target)
    finally:
        database.shut()


def test_single_points_become_curves(empty_database: str, tmp_path: Path) -> None:
    migrate_to(empty_database, "0004_version_states")
    with psycopg.connect(empty_database, autocommit=True) as old:

        def sql(statement: str, *parameters: object) -> None:
            old.execute(statement.encode(), parameters)

        sql("INSERT INTO model (name, creator, owner, description) VALUES (%s, 'ada', 'ada', '')", MODEL)
        for number in (1, 2, 3):
            sql(
                """
                INSERT INTO version (model_id, number, manifest, stage, creator, files_total, bytes_total,
                                     chunks_total, record)
                SELECT id, %s, decode(repeat('00', 32), 'hex'), 'development', 'ada', 0, 0, 0, %s FROM model
                """,
                number,
                RECORD,
            )
        for state in ("open", "aborted"):
            sql(
                """
                INSERT INTO upload (id, model_id, actor, state, record, lease_expires_time, hard_expires_time)
                SELECT gen_random_uuid(), id, 'ada', %s, %s, now() + interval '1 h', now() + interval '1 h' FROM model
                """,
                state,
                RECORD,
            )
        points = [
            (1, "loss", 5, 0, 0.5),
            (1, "auc", 1, 1, math.nan),
            (1, "loss", 7, 1, math.nan),
            (1, "loss", 7, 1, -0.25),
            (1, "loss", 6, 2, math.inf),
            (3, "损失", -(2**63), 0, 1.0),
        ]
        for place, (number, name, step, second, value) in enumerate(points):
            sql(
                """
                INSERT INTO metric_point (version_id, sequence, name, step, time, value)
                SELECT id, %s, %s, %s, %s, %s FROM version WHERE number = %s
                """,
                place, name, step, NOW + timedelta(seconds=second), value, number,
            )  # fmt: skip
    with open_storage(empty_database, tmp_path / "packs") as storage:
        assert storage.versions.get(f"{MODEL}:2").metrics == []
        assert repr(storage.versions.get(REF).metrics) == repr(
            [
                MetricSummary("auc", math.nan, 1, 1, math.nan, math.nan),
                MetricSummary("loss", -0.25, 7, 4, -0.25, math.inf),
            ]
        )
        naive = NOW.replace(tzinfo=None)
        assert repr(read(storage, REF)) == repr(
            {
                "auc": [(1, naive + timedelta(seconds=1), math.nan)],
                "loss": [
                    (5, naive, 0.5),
                    (7, naive + timedelta(seconds=1), math.nan),
                    (7, naive + timedelta(seconds=1), -0.25),
                    (6, naive + timedelta(seconds=2), math.inf),
                ],
            }
        )
        assert read(storage, f"{MODEL}:3") == {"损失": [(-(2**63), naive, 1.0)]}
        assert sorted(storage.sql("SELECT names, points FROM metric_log")) == [(0, 0), (0, 0), (1, 1), (2, 5)]
        ((open_id,),) = storage.sql("SELECT id FROM upload WHERE state = 'open' AND metric_log_id IS NOT NULL")
        curves = curves_of([MetricPoint("loss", 0.5, 1)], NOW)
        assert Metrics(storage.catalog).log_to_upload("ada", str(open_id), "w", 1, curves) == 1
