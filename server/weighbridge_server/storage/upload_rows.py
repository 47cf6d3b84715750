"""Rows of uploads and of the files they have recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from weighbridge.core.digest import Digest
from weighbridge.core.manifest import FileManifest, FileSummary
from weighbridge_server.domain.registry.ports import UploadRow
from weighbridge_server.storage.database import PooledDatabase


class UploadRows:
    """Implements the domain's ``UploadRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def add(self, model: str, record: str, lease_s: int, hard_s: int) -> str:
        """See the port."""
        upload_id = str(uuid7())
        self._database.rows(
            """
            WITH log AS (INSERT INTO metric_log DEFAULT VALUES RETURNING id)
            INSERT INTO upload (id, model_id, actor, record, lease_expires_time, hard_expires_time, metric_log_id)
            SELECT %s, m.id, %s, %s, now() + make_interval(secs => %s), now() + make_interval(secs => %s), log.id
            FROM model m, log WHERE m.name = %s
            """,
            (upload_id, self._actor, record, lease_s, hard_s, model),
        )
        return upload_id

    def get(self, upload_id: str, *, lock: bool = False) -> UploadRow | None:
        """See the port."""
        if not _is_id(upload_id):
            return None
        rows = self._database.rows(
            f"""
            SELECT m.name, u.actor,
                   CASE WHEN u.state NOT IN ('open', 'expired') THEN u.state
                        WHEN now() < u.hard_expires_time THEN 'open' ELSE 'expired' END,
                   u.lease_expires_time, u.hard_expires_time,
                   (SELECT m.name || ':' || v.number FROM version v WHERE v.id = u.version_id), u.commit_digest
            FROM upload u JOIN model m ON m.id = u.model_id
            WHERE u.id = %s {"FOR UPDATE OF u" if lock else ""}
            """,
            (upload_id,),
        )
        if not rows:
            return None
        model, actor, state, lease, hard, committed_ref, commit_digest = rows[0]
        return UploadRow(upload_id, model, actor, state, lease, hard, committed_ref or "", bytes(commit_digest or b""))

    def renew(self, upload_id: str, lease_s: int) -> None:
        """See the port."""
        self._database.rows(
            """
            UPDATE upload SET lease_expires_time = least(now() + make_interval(secs => %s), hard_expires_time),
                state = 'open', ended_time = NULL
            WHERE id = %s AND state IN ('open', 'expired')
            """,
            (lease_s, upload_id),
        )

    def abort(self, upload_id: str) -> None:
        """See the port."""
        self._database.rows("UPDATE upload SET state = 'aborted', ended_time = now() WHERE id = %s", (upload_id,))

    def open_of(self, model: str, most: int) -> list[UploadRow]:
        """See the port."""
        return self._open("m.name = %s", model, most)

    def open_children(self, ref: str, most: int) -> list[UploadRow]:
        """See the port."""
        named = "(u.record::jsonb -> 'parents') @> jsonb_build_array(jsonb_build_object('ref', %s::text))"
        return self._open(named, ref, most)

    def open_children_elsewhere(self, model: str, most: int) -> list[UploadRow]:
        """See the port."""
        named = """
            m.name <> %s AND EXISTS (
                SELECT FROM jsonb_array_elements(u.record::jsonb -> 'parents') AS p
                WHERE starts_with(p ->> 'ref', %s || ':')
            )
        """
        return self._open(named, model, model, most)

    def _open(self, which: str, *params: Any) -> list[UploadRow]:
        rows = self._database.rows(
            f"""
            SELECT u.id, m.name, u.actor, u.lease_expires_time, u.hard_expires_time
            FROM upload u JOIN model m ON m.id = u.model_id
            WHERE u.state = 'open' AND now() < least(u.lease_expires_time, u.hard_expires_time) AND {which}
            ORDER BY u.begun_time DESC, u.id DESC LIMIT %s
            """,
            params,
        )
        return [
            UploadRow(str(upload_id), model, actor, "open", lease, hard, "", b"")
            for upload_id, model, actor, lease, hard in rows
        ]

    def expire(self) -> int:
        """See the port."""
        return len(
            self._database.rows(
                """
                UPDATE upload SET state = 'expired', ended_time = now()
                WHERE state = 'open' AND now() >= least(lease_expires_time, hard_expires_time) RETURNING id
                """
            )
        )

    def forget(self, ended_before_s: int, most: int) -> int:
        """See the port."""
        logs = self._database.rows(
            """
            DELETE FROM upload WHERE id IN (
                SELECT id FROM upload WHERE ended_time < now() - make_interval(secs => %s)
                LIMIT %s FOR UPDATE SKIP LOCKED
            )
            RETURNING metric_log_id
            """,
            (ended_before_s, most),
        )
        # Those that a version took over are no longer the upload's.
        self._database.rows("DELETE FROM metric_log WHERE id = ANY(%s::bigint[])", ([log_id for (log_id,) in logs],))
        return len(logs)

    def put_files(self, upload_id: str, files: Sequence[FileManifest]) -> list[Digest]:
        """See the port."""
        # In the order of the roots: two uploads that bring the same contents wait for each other's rows.
        contents = list({file.root: file for file in sorted(files, key=lambda file: file.root)}.values())
        missing = self._not_held(upload_id, contents)
        if missing:
            return missing
        self._add_contents(contents)
        self._database.rows(
            """
            INSERT INTO upload_file (upload_id, path, content_id)
            SELECT %s, f.path, c.id FROM unnest(%s::text[], %s::bytea[]) AS f(path, root)
            JOIN content c ON c.root = f.root
            ON CONFLICT (upload_id, path) DO UPDATE SET content_id = excluded.content_id
            """,
            (upload_id, [file.path for file in files], [file.root for file in files]),
        )
        return []

    def _not_held(self, upload_id: str, contents: Sequence[FileManifest]) -> list[Digest]:
        # Lengths are part of the root, and a chunk's length is fixed by its digest; a list with another
        # length than the chunk's own is refused here.
        chunks = [chunk for file in contents for chunk in file.chunks]
        # A subquery for each: a join would read all that the upload holds, once for each call.
        missing = self._database.rows(
            """
            SELECT DISTINCT asked.digest FROM unnest(%s::bytea[], %s::bigint[]) AS asked(digest, raw_bytes)
            WHERE (
                SELECT true FROM chunk k JOIN upload_chunk h ON h.chunk_id = k.id
                WHERE h.upload_id = %s AND k.digest = asked.digest AND k.raw_bytes = asked.raw_bytes
            ) IS NULL
            """,
            ([chunk.digest for chunk in chunks], [chunk.raw_bytes for chunk in chunks], upload_id),
        )
        return [bytes(digest) for (digest,) in missing]

    def _add_contents(self, contents: Sequence[FileManifest]) -> None:
        """Those that are new, each with its list of chunks."""
        new = self._database.rows(
            """
            INSERT INTO content (root, size_bytes, chunks_total)
            SELECT * FROM unnest(%s::bytea[], %s::bigint[], %s::bigint[])
            ON CONFLICT (root) DO NOTHING RETURNING id
            """,
            (
                [file.root for file in contents],
                [file.size_bytes for file in contents],
                [len(file.chunks) for file in contents],
            ),
        )
        listed = [(file.root, ordinal, chunk.digest) for file in contents for ordinal, chunk in enumerate(file.chunks)]
        roots, ordinals, digests = zip(*listed, strict=True) if listed else ((), (), ())
        self._database.rows(
            """
            INSERT INTO content_chunk (content_id, ordinal, chunk_id)
            SELECT c.id, l.ordinal, k.id
            FROM unnest(%s::bytea[], %s::integer[], %s::bytea[]) AS l(root, ordinal, digest)
            JOIN content c ON c.root = l.root JOIN chunk k ON k.digest = l.digest
            WHERE c.id = ANY(%s)
            """,
            (list(roots), list(ordinals), list(digests), [content_id for (content_id,) in new]),
        )

    def files_total(self, upload_id: str) -> int:
        """See the port."""
        ((total,),) = self._database.rows("SELECT count(*) FROM upload_file WHERE upload_id = %s", (upload_id,))
        return int(total)

    def files(self, upload_id: str) -> list[FileSummary]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT f.path, c.size_bytes, c.root, c.chunks_total
            FROM upload_file f JOIN content c ON c.id = f.content_id WHERE f.upload_id = %s ORDER BY f.path
            """,
            (upload_id,),
        )
        return [FileSummary(path, size, bytes(root), chunks) for path, size, root, chunks in rows]

    def gone(self, upload_id: str, most: int) -> list[Digest]:
        """See the port."""
        # A chunk's row cannot vanish while a list names it: the foreign key forbids it. What can happen
        # is that its bytes were found damaged.
        rows = self._database.rows(
            """
            SELECT DISTINCT k.digest
            FROM upload_file f JOIN content_chunk l ON l.content_id = f.content_id JOIN chunk k ON k.id = l.chunk_id
            WHERE f.upload_id = %s AND k.damaged LIMIT %s
            """,
            (upload_id, most),
        )
        return [bytes(digest) for (digest,) in rows]


def _is_id(text: str) -> bool:
    """Python reads more as a UUID than PostgreSQL does: only what ``add`` returned is one."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
