"""Rows of the journal, read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import reduce
from operator import or_

import peewee

from weighbridge.core import values
from weighbridge.core.digest import Digest
from weighbridge.core.event_hash import GENESIS
from weighbridge_server.domain.journal.ports import EventFilter
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.tables import Event, JournalHead

_AFTER_ALL = 2**63 - 1


class EventRows:
    """Implements the domain's ``EventRows`` within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def page(self, wanted: EventFilter, after: int, size: int) -> list[values.Event]:
        """See the port."""
        query = Event.select().where(Event.revision > after, *_conditions(wanted))
        return [event_value(row) for row in query.order_by(Event.revision).limit(size)]

    def page_back(self, wanted: EventFilter, before: int | None, size: int) -> list[values.Event]:
        """See the port."""
        newest = _AFTER_ALL if before is None else before
        query = Event.select().where(Event.revision < newest, *_conditions(wanted))
        return [event_value(row) for row in query.order_by(Event.revision.desc()).limit(size)]

    def of(self, resource: str, before: int | None, size: int, *, until: datetime | None = None) -> list[values.Event]:
        """See the port."""
        query = Event.select().where(Event.resource == resource)
        if before is not None:
            query = query.where(Event.revision < before)
        if until is not None:
            query = query.where(Event.time <= until)
        return [event_value(row) for row in query.order_by(Event.revision.desc()).limit(size)]

    def next_of(self, resource: str, after: int) -> values.Event:
        """See the port."""
        query = Event.select().where(Event.resource == resource, Event.revision > after)
        return event_value(query.order_by(Event.revision).get())

    def newest_revision(self, resources: Sequence[str], actions: Sequence[str]) -> int:
        """See the port."""
        ((newest,),) = self._database.rows(
            "SELECT max(revision) FROM event WHERE resource = ANY(%s::text[]) AND action = ANY(%s::text[])",
            (list(resources), list(actions)),
        )
        return newest or 0

    def head(self) -> tuple[int, Digest]:
        """See the port."""
        row = JournalHead.get_or_none(JournalHead.id == 1)
        return (0, GENESIS) if row is None else (row.revision, bytes(row.hash))


def _conditions(wanted: EventFilter) -> Iterator[peewee.Expression]:
    """Ranges of what the indexes hold, sorted by its bytes."""
    for resource in filter(None, (wanted.resource, wanted.model)):
        yield reduce(or_, (_begins(Event.resource, f"{resource}{mark}") for mark in ":@#"), Event.resource == resource)
    if wanted.actor:
        yield Event.actor == wanted.actor
    if wanted.action.endswith("."):
        yield _begins(Event.action, wanted.action)
    elif wanted.action:
        yield Event.action == wanted.action
    if wanted.after_time is not None:
        yield Event.time >= wanted.after_time
    if wanted.before_time is not None:
        yield Event.time < wanted.before_time


def _begins(field: peewee.Field, prefix: str) -> peewee.Expression:
    """``prefix`` ends in an ASCII sign: the next one ends the range."""
    return (field >= prefix) & (field < prefix[:-1] + chr(ord(prefix[-1]) + 1))


def event_value(row: Event) -> values.Event:
    """A row as an event."""
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
