"""Rows of models."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import peewee

from weighbridge.core import values
from weighbridge_server.storage import tables
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.name_prefixes import below

_WHOLE: tuple[peewee.Field, ...] = tables.Model._meta.sorted_fields
_LISTED = tuple(field for field in _WHOLE if field is not tables.Model.card)
"""A card takes up to 64 KiB: it is read only where somebody looks at it."""


class ModelRows:
    """Implements the domain's ``ModelRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def add(
        self, name: str, owner: str, description: str, *, team: str = "", contact: str = "", card: str = ""
    ) -> bool:
        """See the port."""
        return bool(
            self._database.rows(
                """
                INSERT INTO model (name, creator, owner, description, team, contact, card)
                VALUES (%s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (name) DO NOTHING RETURNING id
                """,
                (name, self._actor, owner, description, team, contact, card),
            )
        )

    def get(self, name: str, *, whole: bool = False, lock: bool = False) -> values.Model | None:
        """See the port."""
        query = tables.Model.select(*(_WHOLE if whole else _LISTED)).where(tables.Model.name == name)
        row = (query.for_update() if lock else query).first()
        return _value(row, whole=whole) if row else None

    def lock(self, name: str, shared: Collection[str]) -> None:
        """See the port."""
        others = [other for other in shared if other != name]
        for names, strength in (
            ([other for other in others if other < name], "SHARE"),
            ([name], "UPDATE"),
            ([other for other in others if other > name], "SHARE"),
        ):
            if names:
                self._database.rows(
                    f"SELECT id FROM model WHERE name = ANY(%s::text[]) ORDER BY name FOR {strength}", (names,)
                )

    def page(
        self, after: str, size: int, *, deleted: bool = False, readable: Collection[str] | None = None
    ) -> list[values.Model]:
        """See the port."""
        query = tables.Model.select(*_LISTED).where(tables.Model.name > after)
        if readable is not None:
            query = query.where(peewee.SQL(below('"t1"."name"'), (list(readable),)))
        if not deleted:
            query = query.where(tables.Model.deleted_time.is_null())
        return [_value(row, whole=False) for row in query.order_by(tables.Model.name).limit(size)]

    def update(self, name: str, texts: Mapping[str, str]) -> None:
        """See the port."""
        tables.Model.update(**texts).where(tables.Model.name == name).execute()

    def delete(self, name: str, reason: str) -> None:
        """See the port."""
        self._database.rows(
            "UPDATE model SET deleted_time = now(), deleted_by = %s, deletion_reason = %s WHERE name = %s",
            (self._actor, reason, name),
        )

    def restore(self, name: str) -> None:
        """See the port."""
        self._database.rows(
            "UPDATE model SET deleted_time = NULL, deleted_by = NULL, deletion_reason = NULL WHERE name = %s", (name,)
        )


def _value(row: tables.Model, *, whole: bool) -> values.Model:
    deletion = None
    if row.deleted_time is not None:
        # All three are set or none, as the table's constraint has it.
        deletion = values.Deletion(row.deleted_time, row.deleted_by or "", row.deletion_reason or "")
    return values.Model(
        name=row.name,
        creator=row.creator,
        owner=row.owner,
        description=row.description,
        created_time=row.created_time,
        latest_version=row.latest_version,
        team=row.team,
        contact=row.contact,
        card=row.card if whole else None,
        deletion=deletion,
    )
