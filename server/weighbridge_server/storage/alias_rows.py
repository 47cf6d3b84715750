"""Rows of aliases, each with its last move in the journal."""

from __future__ import annotations

from weighbridge.core import values
from weighbridge.core.refs import alias_ref
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.event_rows import event_value
from weighbridge_server.storage.tables import Event

# The table's order is that of the names' bytes. Each newest event is one look into the index on (resource, revision).
_MOVES = """
    SELECT e.* FROM alias a
    JOIN model m ON m.id = a.model_id
    CROSS JOIN LATERAL (
        SELECT * FROM event WHERE resource = m.name || '@' || a.name ORDER BY revision DESC LIMIT 1
    ) AS e
    WHERE m.name = %s
"""


class AliasRows:
    """Implements the domain's ``AliasRows`` within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def names(self, model: str) -> list[str]:
        """See the port."""
        rows = self._database.rows(
            "SELECT a.name FROM alias a JOIN model m ON m.id = a.model_id WHERE m.name = %s ORDER BY a.name", (model,)
        )
        return [name for (name,) in rows]

    def move(self, model: str, alias: str) -> values.Event | None:
        """See the port."""
        found = list(Event.raw(f"{_MOVES} AND a.name = %s", model, alias))
        return event_value(found[0]) if found else None

    def moves(self, model: str) -> list[values.Event]:
        """See the port."""
        return [event_value(row) for row in Event.raw(f"{_MOVES} ORDER BY a.name", model)]

    def first_move(self, model: str, alias: str, number: int) -> values.Event | None:
        """See the port."""
        found = list(
            Event.raw(
                """
                SELECT * FROM event
                WHERE resource = %s AND after <> '' AND (after::json ->> 'version')::bigint = %s
                ORDER BY revision LIMIT 1
                """,
                alias_ref(model, alias),
                number,
            )
        )
        return event_value(found[0]) if found else None

    def point(self, model: str, alias: str, number: int) -> None:
        """See the port."""
        self._database.rows(
            """
            INSERT INTO alias (model_id, name, version_id)
            SELECT v.model_id, %s, v.id FROM version v JOIN model m ON m.id = v.model_id
            WHERE m.name = %s AND v.number = %s
            ON CONFLICT (model_id, name) DO UPDATE SET version_id = excluded.version_id
            """,
            (alias, model, number),
        )

    def remove(self, model: str, alias: str) -> None:
        """See the port."""
        self._database.rows(
            "DELETE FROM alias USING model m WHERE m.id = alias.model_id AND m.name = %s AND alias.name = %s",
            (model, alias),
        )
