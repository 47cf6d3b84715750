"""Rows of models."""

from __future__ import annotations

from weighbridge.core import values
from weighbridge_server.storage import tables
from weighbridge_server.storage.database import PooledDatabase


class ModelRows:
    """Implements the domain's ``ModelRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def add(self, name: str, owner: str, description: str) -> bool:
        """See the port."""
        return bool(
            self._database.rows(
                """
                INSERT INTO model (name, creator, owner, description) VALUES (%s, %s, %s, %s)
                ON CONFLICT (name) DO NOTHING RETURNING id
                """,
                (name, self._actor, owner, description),
            )
        )

    def get(self, name: str) -> values.Model | None:
        """See the port."""
        row = tables.Model.get_or_none(tables.Model.name == name)
        return _value(row) if row else None

    def lock(self, name: str) -> values.Model | None:
        """See the port."""
        row = tables.Model.select().where(tables.Model.name == name).for_update().first()
        return _value(row) if row else None

    def page(self, after: str, size: int) -> list[values.Model]:
        """See the port."""
        query = tables.Model.select().where(tables.Model.name > after).order_by(tables.Model.name).limit(size)
        return [_value(row) for row in query]


def _value(row: tables.Model) -> values.Model:
    return values.Model(
        name=row.name,
        creator=row.creator,
        owner=row.owner,
        description=row.description,
        created_time=row.created_time,
        latest_version=row.latest_version,
    )
