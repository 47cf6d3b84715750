"""The chunk index in PostgreSQL. Each call handles any number of chunks in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from weighbridge.core.chunks import Codec
from weighbridge.core.digest import Digest
from weighbridge_server.storage.chunk_index import StoredChunk
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.name_prefixes import below
from weighbridge_server.storage.pack_format import PackEntry

_OF_READABLE = f"""AND EXISTS (
    SELECT FROM version v JOIN model m ON m.id = v.model_id WHERE v.id = f.version_id AND {below("m.name")} OFFSET 0
)"""


class CatalogIndex:
    """Implements ``ChunkIndex`` on the catalogue's tables. Safe to use from several threads."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def hold_present(
        self, upload_id: str, digests: Sequence[Digest], readable: Collection[str] | None = None
    ) -> list[Digest]:
        """See the port."""
        # A chunk is present for this caller when one of its own uploads holds it, or a committed version
        # does that it can read; one of a deleted model counts too, since its chunks are all there for when it is
        # restored.
        # Holding it is part of the same statement, and the foreign key locks the chunk's row, so that
        # collection cannot take what was just reported present.
        #
        # The first hit answers for a chunk, which an index finds at once however many versions share it.
        # Subqueries with LIMIT keep the planner from reading all holds instead, and the setting from
        # reading all chunk lists, which it does where the statistics lag behind the first large push.
        seen = "" if readable is None else _OF_READABLE
        with self._database.session(), self._database.atomic():
            self._database.rows("SET LOCAL enable_seqscan = off")
            present = self._database.rows(
                f"""
                WITH found AS MATERIALIZED (
                    SELECT k.id, k.digest FROM chunk k
                    WHERE k.digest = ANY(%s::bytea[]) AND NOT k.damaged AND coalesce(
                        (
                            SELECT true FROM content_chunk l JOIN version_file f ON f.content_id = l.content_id
                            WHERE l.chunk_id = k.id {seen} LIMIT 1
                        ),
                        (
                            SELECT true FROM upload_chunk h JOIN upload u ON u.id = h.upload_id
                            WHERE h.chunk_id = k.id AND u.actor = (SELECT actor FROM upload WHERE id = %s) LIMIT 1
                        )
                    )
                ), held AS (
                    INSERT INTO upload_chunk (upload_id, chunk_id) SELECT %s, id FROM found ORDER BY id
                    ON CONFLICT DO NOTHING
                )
                SELECT digest FROM found
                """,
                (list(digests), *([] if readable is None else [list(readable)]), upload_id, upload_id),
            )
        known = {bytes(digest) for (digest,) in present}
        return [digest for digest in dict.fromkeys(digests) if digest not in known]

    def hold(self, upload_id: str, digests: Sequence[Digest]) -> None:
        """See the port."""
        # In one order everywhere: two streams of an upload that hold the same chunks wait for each other.
        with self._database.session():
            self._database.rows(
                """
                INSERT INTO upload_chunk (upload_id, chunk_id)
                SELECT u.id, k.id FROM upload u, chunk k
                WHERE u.id = %s AND k.digest = ANY(%s::bytea[]) ORDER BY k.id ON CONFLICT DO NOTHING
                """,
                (upload_id, list(digests)),
            )

    def new_ones(self, digests: Sequence[Digest]) -> set[Digest]:
        """See the port."""
        with self._database.session():
            rows = self._database.rows(
                "SELECT digest FROM chunk WHERE digest = ANY(%s::bytea[]) AND NOT damaged", (list(digests),)
            )
        return set(digests) - {bytes(digest) for (digest,) in rows}

    def add_pack(self, pack_id: UUID, size_bytes: int, entries: Sequence[PackEntry]) -> None:
        """See the port."""
        # In the order of the digests, so that two packs with common chunks lock them in the same order.
        unique = sorted({entry.digest: entry for entry in entries}.values(), key=lambda entry: entry.digest)
        with self._database.session(), self._database.atomic():
            self._database.rows("INSERT INTO pack (id, size_bytes) VALUES (%s, %s)", (pack_id, size_bytes))
            self._database.rows(
                """
                INSERT INTO chunk (pack_id, digest, raw_bytes, encoded_bytes, codec, pack_offset)
                SELECT %s, * FROM unnest(%s::bytea[], %s::integer[], %s::integer[], %s::smallint[], %s::bigint[])
                ON CONFLICT (digest) DO UPDATE SET
                    pack_id = excluded.pack_id, pack_offset = excluded.pack_offset, codec = excluded.codec,
                    encoded_bytes = excluded.encoded_bytes, damaged = false
                WHERE chunk.damaged
                """,
                (
                    pack_id,
                    [entry.digest for entry in unique],
                    [entry.raw_bytes for entry in unique],
                    [entry.encoded_bytes for entry in unique],
                    [int(entry.codec) for entry in unique],
                    [entry.offset for entry in unique],
                ),
            )

    def locate(self, digests: Sequence[Digest]) -> Mapping[Digest, StoredChunk]:
        """See the port."""
        with self._database.session():
            rows = self._database.rows(
                """
                SELECT digest, pack_id, pack_offset, raw_bytes, encoded_bytes, codec
                FROM chunk WHERE digest = ANY(%s::bytea[])
                """,
                (list(digests),),
            )
        return {
            bytes(digest): StoredChunk(
                pack_id, PackEntry(bytes(digest), offset, raw_bytes, encoded_bytes, Codec(codec))
            )
            for digest, pack_id, offset, raw_bytes, encoded_bytes, codec in rows
        }

    def mark_damaged(self, digest: Digest, pack_id: UUID) -> None:
        """See the port."""
        with self._database.session():
            self._database.rows("UPDATE chunk SET damaged = true WHERE digest = %s AND pack_id = %s", (digest, pack_id))
