"""Rows of the journal, read."""

from __future__ import annotations

from weighbridge.core import values
from weighbridge.core.digest import Digest
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.tables import Event, JournalHead


class EventRows:
    """Implements the domain's ``EventRows`` within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def page(self, resource: str, after: int, size: int) -> list[values.Event]:
        """See the port."""
        query = Event.select().where(Event.revision > after).order_by(Event.revision).limit(size)
        if resource:
            under = (Event.resource >= f"{resource}:") & (Event.resource < f"{resource};")
            at = (Event.resource >= f"{resource}@") & (Event.resource < f"{resource}A")
            query = query.where((Event.resource == resource) | under | at)
        return [_value(row) for row in query]

    def newest_revision(self, resource: str) -> int:
        """See the port."""
        ((newest,),) = self._database.rows("SELECT max(revision) FROM event WHERE resource = %s", (resource,))
        return newest or 0

    def head(self) -> tuple[int, Digest]:
        """See the port."""
        row = JournalHead.get_by_id(1)
        return row.revision, bytes(row.hash)


def _value(row: Event) -> values.Event:
    return values.Event(
        revision=row.revision,
        time=row.time,
        actor=row.actor,
        action=row.action,
        resource=row.resource,
        before=row.before,
        after=row.after,
        previous_hash=bytes(row.previous_hash),
        hash=bytes(row.hash),
    )
