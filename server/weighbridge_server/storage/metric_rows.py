"""Rows of metrics: logs, the blocks of points of their curves, and what each curve is in short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from weighbridge.core.curves import MetricCurve
from weighbridge_server.domain.metrics.ports import CurveSummary, MetricLog
from weighbridge_server.storage.database import PooledDatabase

_SHORT = 64
"""A block with fewer points takes in what comes next: slow training brings a point at a time, and shall not leave
a row for each. Below this, PostgreSQL rewrites a block within its page."""

_TIME = "datetime64[us]"
_BLOCKS = "unnest(%s::text[], %s::bigint[], %s::bigint[], %b::bytea[], %b::bytea[], %b::bytea[])"
_LOG = "l.id, l.names, l.points, now()"


class MetricRows:
    """Implements the domain's ``MetricRows`` within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def of_upload(self, upload_id: str) -> MetricLog:
        """See the port."""
        (row,) = self._database.rows(
            f"SELECT {_LOG} FROM metric_log l JOIN upload u ON u.metric_log_id = l.id WHERE u.id = %s", (upload_id,)
        )
        return MetricLog(*row)

    def of_version(self, model: str, number: int) -> MetricLog:
        """See the port."""
        (row,) = self._database.rows(
            f"""
            SELECT {_LOG} FROM metric_log l JOIN version v ON v.metric_log_id = l.id JOIN model m ON m.id = v.model_id
            WHERE m.name = %s AND v.number = %s
            """,
            (model, number),
        )
        return MetricLog(*row)

    def last_sequence(self, log_id: int, writer: str) -> int:
        """See the port."""
        rows = self._database.rows(
            "SELECT last_sequence FROM metric_writer WHERE log_id = %s AND writer = %s", (log_id, writer)
        )
        return int(rows[0][0]) if rows else 0

    def reach(self, log_id: int, writer: str, last_sequence: int) -> None:
        """See the port."""
        self._database.rows(
            """
            INSERT INTO metric_writer (log_id, writer, last_sequence) VALUES (%s, %s, %s)
            ON CONFLICT (log_id, writer) DO UPDATE SET last_sequence = excluded.last_sequence
            """,
            (log_id, writer, last_sequence),
        )

    def summaries(self, log_id: int, names: Sequence[str] | None = None) -> dict[str, CurveSummary]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT name, latest, latest_step, latest_time, min, max, points FROM metric_summary
            WHERE log_id = %s AND (%s::text[] IS NULL OR name = ANY(%s::text[])) ORDER BY name
            """,
            (log_id, names, names),
        )
        return {row[0]: CurveSummary(*row) for row in rows}

    def append(self, log_id: int, curves: Sequence[MetricCurve], summaries: Mapping[str, CurveSummary]) -> None:
        """See the port."""
        self._append_points(log_id, curves, summaries)
        kept = [summaries[curve.name] for curve in curves]
        self._database.rows(
            """
            INSERT INTO metric_summary (
                log_id, version_id, name, latest, latest_step, latest_time, min, max, points
            )
            SELECT %s, (SELECT id FROM version WHERE metric_log_id = %s), s.* FROM unnest(
                %s::text[], %s::double precision[], %s::bigint[], %s::timestamptz[],
                %s::double precision[], %s::double precision[], %s::bigint[]
            ) AS s
            ON CONFLICT (log_id, name) DO UPDATE SET
                latest = excluded.latest, latest_step = excluded.latest_step, latest_time = excluded.latest_time,
                min = excluded.min, max = excluded.max, points = excluded.points
            """,
            (
                log_id,
                log_id,
                [summary.name for summary in kept],
                [summary.latest for summary in kept],
                [summary.latest_step for summary in kept],
                [summary.latest_time for summary in kept],
                [summary.min for summary in kept],
                [summary.max for summary in kept],
                [summary.points for summary in kept],
            ),
        )
        self._database.rows(
            "UPDATE metric_log SET names = names + %s, points = points + %s WHERE id = %s",
            (sum(summaries[curve.name].points == len(curve) for curve in curves), sum(map(len, curves)), log_id),
        )

    def _append_points(self, log_id: int, curves: Sequence[MetricCurve], summaries: Mapping[str, CurveSummary]) -> None:
        short = {
            name
            for (name,) in self._database.rows(
                """
                SELECT asked.name FROM unnest(%s::text[]) AS asked(name) WHERE (
                    SELECT points FROM metric_block WHERE log_id = %s AND name = asked.name
                    ORDER BY first_point DESC LIMIT 1
                ) < %s
                """,
                ([curve.name for curve in curves], log_id, _SHORT),
            )
        }
        rows = [_block(curve, summaries[curve.name].points - len(curve)) for curve in curves]
        if lengthened := [row for row in rows if row[0] in short]:
            self._database.rows(
                f"""
                UPDATE metric_block b
                SET points = b.points + n.points, steps = b.steps || n.steps, times = b.times || n.times,
                    values = b.values || n.values
                FROM {_BLOCKS} AS n(name, first_point, points, steps, times, values)
                WHERE b.log_id = %s AND b.name = n.name AND b.first_point = (
                    SELECT max(t.first_point) FROM metric_block t WHERE t.log_id = %s AND t.name = n.name
                )
                """,
                (*_columns(lengthened), log_id, log_id),
            )
        if new := [row for row in rows if row[0] not in short]:
            self._database.rows(
                f"""
                INSERT INTO metric_block (log_id, name, first_point, points, steps, times, values)
                SELECT %s, n.* FROM {_BLOCKS} AS n
                """,
                (log_id, *_columns(new)),
            )

    def read(self, log_id: int, names: Sequence[str], start: int, stop: int) -> dict[str, MetricCurve]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT name, steps, times, values FROM metric_block
            WHERE log_id = %s AND name = ANY(%s::text[]) AND first_point >= %s AND first_point < %s
            ORDER BY name, first_point
            """,
            (log_id, names, start, stop),
        )
        return {name: _curve(name, list(blocks)) for name, blocks in groupby(rows, key=lambda row: row[0])}


Row = tuple[str, int, int, bytes, bytes, bytes]
"""A block but for its log: name, first point, points, steps, times, values."""


def _block(curve: MetricCurve, first_point: int) -> Row:
    return (
        curve.name,
        first_point,
        len(curve),
        curve.steps.astype("<i8").tobytes(),
        curve.times.astype(_TIME).astype("<i8").tobytes(),
        curve.values.astype("<f8").tobytes(),
    )


def _curve(name: str, blocks: Sequence[tuple[Any, ...]]) -> MetricCurve:
    _, *columns = zip(*blocks, strict=True)
    steps, times, values = (b"".join(column) for column in columns)
    return MetricCurve(
        name, np.frombuffer(steps, "<i8"), np.frombuffer(times, "<i8").view(_TIME), np.frombuffer(values, "<f8")
    )


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
