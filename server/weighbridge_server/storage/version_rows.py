"""Rows of committed versions, their files and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from weighbridge.core import values
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import Digest
from weighbridge.core.manifest import FileSummary
from weighbridge.core.refs import version_ref
from weighbridge_server.domain.registry.ports import NewVersion
from weighbridge_server.domain.registry.record_text import parse_record
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.fact_rows import FactRows

_COLUMNS = """
    v.id, m.name, v.number, v.manifest, v.stage, v.creator, v.created_time,
    v.files_total, v.bytes_total, v.chunks_total, v.record, v.schema_prefix, v.schema_revision,
    v.deleted_time, v.deleted_by, v.deletion_reason, v.purged_time,
    ARRAY(SELECT a.name FROM alias a WHERE a.version_id = v.id ORDER BY a.name)
"""
_LISTED = _COLUMNS.replace("v.record", "NULL")
"""A record takes up to 64 KiB: it is read only where somebody looks at it."""
_VERSION = "FROM version v JOIN model m ON m.id = v.model_id WHERE m.name = %s AND v.number = %s"
_FILES = """
    FROM version_file f
    JOIN content c ON c.id = f.content_id
    JOIN version v ON v.id = f.version_id
    JOIN model m ON m.id = v.model_id
    WHERE m.name = %s AND v.number = %s
"""


class VersionRows:
    """Implements the domain's ``VersionRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor
        self._facts = FactRows(database)

    def add(self, version: NewVersion) -> None:
        """See the port."""
        record = parse_record(version.record)
        energy = record.energy or values.Energy()
        ((version_id,),) = self._database.rows(
            """
            INSERT INTO version (model_id, number, manifest, stage, creator, files_total, bytes_total,
                                 chunks_total, record, schema_prefix, schema_revision, energy_kwh, energy_gco2e,
                                 package_list_id, metric_log_id)
            SELECT m.id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, u.metric_log_id
            FROM model m JOIN upload u ON u.id = %s WHERE m.name = %s
            RETURNING id
            """,
            (
                version.number,
                version.manifest,
                version.stage,
                self._actor,
                version.files_total,
                version.bytes_total,
                version.chunks_total,
                version.record,
                None if version.schema is None else version.schema.prefix,
                None if version.schema is None else version.schema.revision,
                energy.kwh,
                energy.gco2e,
                self._facts.package_list(record.environment),
                version.upload_id,
                version.model,
            ),
        )
        self._database.rows(
            """
            INSERT INTO version_file (version_id, path, content_id)
            SELECT %s, path, content_id FROM upload_file WHERE upload_id = %s
            """,
            (version_id, version.upload_id),
        )
        self._facts.add(version_id, record)
        self._database.rows(
            """
            UPDATE metric_summary SET version_id = %s
            WHERE log_id = (SELECT metric_log_id FROM version WHERE id = %s)
            """,
            (version_id, version_id),
        )
        self._database.rows("UPDATE model SET latest_version = %s WHERE name = %s", (version.number, version.model))
        self._database.rows(
            """
            UPDATE upload SET state = 'committed', ended_time = now(), version_id = %s, commit_digest = %s,
                metric_log_id = NULL
            WHERE id = %s
            """,
            (version_id, version.commit_digest, version.upload_id),
        )

    def get(self, model: str, number: int, *, whole: bool) -> values.Version | None:
        """See the port."""
        rows = self._database.rows(f"SELECT {_COLUMNS if whole else _LISTED} {_VERSION}", (model, number))
        return self._value(rows[0], whole=whole) if rows else None

    def held_by(self, model: str, alias: str, *, whole: bool) -> values.Version | None:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT {_COLUMNS if whole else _LISTED} FROM alias held
            JOIN model m ON m.id = held.model_id
            JOIN version v ON v.id = held.version_id
            WHERE m.name = %s AND held.name = %s
            """,
            (model, alias),
        )
        return self._value(rows[0], whole=whole) if rows else None

    def newest(self, model: str, manifest: Digest | None = None) -> int | None:
        """See the port."""
        ((newest,),) = self._database.rows(
            """
            SELECT max(v.number) FROM version v JOIN model m ON m.id = v.model_id
            WHERE m.name = %s AND v.deleted_time IS NULL AND (%s::bytea IS NULL OR v.manifest = %s)
            """,
            (model, manifest, manifest),
        )
        return newest  # type: ignore[no-any-return]

    def newer(self, model: str, number: int, manifest: Digest | None = None) -> list[str]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT v.number FROM version v JOIN model m ON m.id = v.model_id
            WHERE m.name = %s AND v.number > %s AND (%s::bytea IS NULL OR v.manifest = %s)
            """,
            (model, number, manifest, manifest),
        )
        return [version_ref(model, newer) for (newer,) in rows]

    def at(self, keys: Sequence[int]) -> dict[int, values.Version]:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT m.deleted_time, m.deleted_by, m.deletion_reason, {_LISTED}
            FROM version v JOIN model m ON m.id = v.model_id WHERE v.id = ANY(%s::bigint[])
            """,
            (list(keys),),
        )
        found: dict[int, values.Version] = {}
        for hidden_time, hidden_by, reason, *row in rows:
            version = self._value(tuple(row), whole=False)
            if version.deletion is None and hidden_time is not None:
                version = replace(version, deletion=values.Deletion(hidden_time, hidden_by, reason))
            found[row[0]] = version
        return found

    def files(self, model: str, number: int) -> list[FileSummary]:
        """See the port."""
        rows = self._database.rows(
            f"SELECT f.path, c.size_bytes, c.root, c.chunks_total {_FILES} ORDER BY f.path", (model, number)
        )
        return [_summary(row) for row in rows]

    def file(self, model: str, number: int, path: str) -> FileSummary | None:
        """See the port."""
        rows = self._database.rows(
            f"SELECT f.path, c.size_bytes, c.root, c.chunks_total {_FILES} AND f.path = %s",
            (model, number, path),
        )
        return _summary(rows[0]) if rows else None

    def chunk_lists(self, roots: Sequence[Digest], start: int, count: int) -> dict[Digest, list[ChunkRef]]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT c.root, k.digest, k.raw_bytes
            FROM content c JOIN content_chunk l ON l.content_id = c.id JOIN chunk k ON k.id = l.chunk_id
            WHERE c.root = ANY(%s::bytea[]) AND l.ordinal >= %s AND l.ordinal < %s
            ORDER BY c.id, l.ordinal
            """,
            (list(roots), start, start + count),
        )
        lists: dict[Digest, list[ChunkRef]] = {root: [] for root in roots}
        for root, digest, raw_bytes in rows:
            lists[bytes(root)].append(ChunkRef(bytes(digest), raw_bytes))
        return lists

    def outside(self, model: str, number: int, digests: Sequence[Digest]) -> list[Digest]:
        """See the port."""
        # The version's own chunk list is read once: its length bounds the work, however many other
        # versions share these chunks.
        rows = self._database.rows(
            """
            WITH held AS MATERIALIZED (
                SELECT l.chunk_id FROM version v
                JOIN model m ON m.id = v.model_id
                JOIN version_file f ON f.version_id = v.id
                JOIN content_chunk l ON l.content_id = f.content_id
                WHERE m.name = %s AND v.number = %s
            )
            SELECT k.digest FROM chunk k WHERE k.digest = ANY(%s::bytea[]) AND k.id IN (SELECT chunk_id FROM held)
            """,
            (model, number, list(digests)),
        )
        inside = {bytes(digest) for (digest,) in rows}
        return [digest for digest in digests if digest not in inside]

    def damaged(self, model: str, number: int, most: int) -> list[str]:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT f.path {_FILES} AND EXISTS (
                SELECT FROM content_chunk l JOIN chunk k ON k.id = l.chunk_id
                WHERE l.content_id = f.content_id AND k.damaged
            )
            ORDER BY f.path LIMIT %s
            """,
            (model, number, most),
        )
        return [path for (path,) in rows]

    def where(self, model: str, number: int, digest: Digest) -> tuple[str, int] | None:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT f.path, l.ordinal
            FROM version v
            JOIN model m ON m.id = v.model_id
            JOIN version_file f ON f.version_id = v.id
            JOIN content_chunk l ON l.content_id = f.content_id
            JOIN chunk k ON k.id = l.chunk_id
            WHERE m.name = %s AND v.number = %s AND k.digest = %s
            ORDER BY f.path, l.ordinal LIMIT 1
            """,
            (model, number, digest),
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def _metric_summaries(self, model: str, number: int) -> list[values.MetricSummary]:
        rows = self._database.rows(
            """
            SELECT s.name, s.latest, s.latest_step, s.points, s.min, s.max
            FROM metric_summary s JOIN version v ON v.metric_log_id = s.log_id JOIN model m ON m.id = v.model_id
            WHERE m.name = %s AND v.number = %s ORDER BY s.name
            """,
            (model, number),
        )
        return [values.MetricSummary(*row) for row in rows]

    def _value(self, row: tuple[Any, ...], *, whole: bool) -> values.Version:
        (
            _,
            model,
            number,
            manifest,
            stage,
            creator,
            created,
            files_total,
            bytes_total,
            chunks_total,
            record,
            schema_prefix,
            schema_revision,
            deleted_time,
            deleted_by,
            deletion_reason,
            purged_time,
            aliases,
        ) = row
        return values.Version(
            model=model,
            version=number,
            ref=version_ref(model, number),
            manifest=bytes(manifest),
            stage=values.Stage(stage),
            creator=creator,
            created_time=created,
            files_total=files_total,
            bytes_total=bytes_total,
            chunks_total=chunks_total,
            record=parse_record(record) if whole else None,
            metrics=self._metric_summaries(model, number) if whole else None,
            schema=None if schema_prefix is None else values.SchemaRevision(schema_prefix, schema_revision),
            deletion=None if deleted_time is None else values.Deletion(deleted_time, deleted_by, deletion_reason),
            purged_time=purged_time,
            aliases=tuple(aliases),
        )


def _summary(row: tuple[Any, ...]) -> FileSummary:
    path, size_bytes, root, chunks_total = row
    return FileSummary(path, size_bytes, bytes(root), chunks_total)
