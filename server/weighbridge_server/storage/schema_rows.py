"""Rows of schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weighbridge.core import values
from weighbridge_server.storage.database import PooledDatabase

_COLUMNS = "prefix, revision, json_schema, actor, set_time"
_LOCK = 0x736368656D61  # "schema"


class SchemaRows:
    """Implements the domain's ``SchemaRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def first(self, prefixes: Sequence[str]) -> values.Schema | None:
        """See the port."""
        return self._one(
            f"""
            SELECT {_COLUMNS} FROM schema_revision WHERE prefix = ANY(%s::text[])
            ORDER BY array_position(%s::text[], prefix), revision DESC LIMIT 1
            """,
            list(prefixes),
            list(prefixes),
        )

    def get(self, prefix: str, revision: int) -> values.Schema | None:
        """See the port."""
        return self._one(
            f"SELECT {_COLUMNS} FROM schema_revision WHERE prefix = %s AND revision = %s", prefix, revision
        )

    def present(self) -> list[values.Schema]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT DISTINCT ON (prefix) prefix, revision, NULL, actor, set_time
            FROM schema_revision ORDER BY prefix, revision DESC
            """
        )
        return [values.Schema(*row) for row in rows]

    def add(self, prefix: str, json_schema: str) -> values.Schema:
        """See the port."""
        added = self._one(
            f"""
            INSERT INTO schema_revision (prefix, revision, json_schema, actor)
            SELECT %s, coalesce(max(revision), 0) + 1, %s, %s FROM schema_revision WHERE prefix = %s
            RETURNING {_COLUMNS}
            """,
            prefix,
            json_schema,
            self._actor,
            prefix,
        )
        assert added is not None, "what an insert returns"
        return added

    def lock(self, *, shared: bool) -> None:
        """See the port."""
        # Not of a row: the first schema of a prefix has none yet.
        kind = "_shared" if shared else ""
        self._database.rows(f"SELECT pg_advisory_xact_lock{kind}(%s)", (_LOCK,))

    def _one(self, sql: str, *params: Any) -> values.Schema | None:
        rows = self._database.rows(sql, params)
        return values.Schema(*rows[0]) if rows else None
