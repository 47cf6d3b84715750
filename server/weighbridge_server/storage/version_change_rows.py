"""What changes of the row of a committed version: tags and description, and whether it is there."""

from __future__ import annotations

from weighbridge.core.values import Stage
from weighbridge_server.domain.registry.record_text import parse_record
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.fact_rows import FactRows

_THIS = "number = %s AND model_id = (SELECT id FROM model WHERE name = %s)"

_DUE = """
    FROM version v JOIN model m ON m.id = v.model_id
    WHERE v.deleted_time < now() - make_interval(secs => %s) AND v.purged_time IS NULL
"""


class VersionChangeRows:
    """Implements the domain's ``VersionChangeRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor
        self._facts = FactRows(database)

    def record(self, model: str, number: int, record: str) -> None:
        """See the port."""
        ((version_id,),) = self._database.rows(
            f"UPDATE version SET record = %s WHERE {_THIS} RETURNING id", (record, number, model)
        )
        self._facts.replace(version_id, parse_record(record))

    def stage(self, model: str, number: int, stage: Stage) -> None:
        """See the port."""
        self._database.rows(f"UPDATE version SET stage = %s WHERE {_THIS}", (str(stage), number, model))

    def delete(self, model: str, number: int, reason: str) -> None:
        """See the port."""
        self._database.rows(
            f"UPDATE version SET deleted_time = now(), deleted_by = %s, deletion_reason = %s WHERE {_THIS}",
            (self._actor, reason, number, model),
        )

    def restore(self, model: str, number: int) -> None:
        """See the port."""
        self._database.rows(
            f"UPDATE version SET deleted_time = NULL, deleted_by = NULL, deletion_reason = NULL WHERE {_THIS}",
            (number, model),
        )

    def due(self, deleted_before_s: float, most: int) -> list[tuple[str, int]]:
        """See the port."""
        rows = self._database.rows(
            f"SELECT m.name, v.number {_DUE} ORDER BY v.deleted_time, v.id LIMIT %s", (deleted_before_s, most)
        )
        return [(model, number) for model, number in rows]

    def is_due(self, model: str, number: int, deleted_before_s: float) -> bool:
        """See the port."""
        return bool(
            self._database.rows(f"SELECT 1 {_DUE} AND m.name = %s AND v.number = %s", (deleted_before_s, model, number))
        )

    def purge(self, model: str, number: int, record: str) -> None:
        """See the port."""
        ((version_id, log_id),) = self._database.rows(
            f"""
            UPDATE version SET purged_time = now(), record = %s, energy_kwh = NULL, energy_gco2e = NULL,
                package_list_id = NULL
            WHERE {_THIS} RETURNING id, metric_log_id
            """,
            (record, number, model),
        )
        self._facts.replace(version_id, parse_record(record))
        self._database.rows("DELETE FROM version_file WHERE version_id = %s", (version_id,))
        # The log itself stays, as the version's row stays: it is what the two point at each other with.
        for table in ("metric_block", "metric_summary", "metric_writer"):
            self._database.rows(f"DELETE FROM {table} WHERE log_id = %s", (log_id,))
        self._database.rows("UPDATE metric_log SET names = 0, points = 0 WHERE id = %s", (log_id,))
