"""What the journal needs of storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from weighbridge.core.digest import Digest
from weighbridge.core.values import (
    Event,
)


@dataclass(frozen=True)
class Change:
    """One change, on its way into the journal."""

    action: str
    resource: str
    before: str
    after: str


@dataclass(frozen=True)
class EventFilter:
    """Which events: those for which all hold that are given."""

    resource: str = ""
    """What happened to it, and to what is under it: behind ``:``, ``@`` or ``#``."""
    model: str = ""
    """As ``resource``, of a model."""
    actor: str = ""
    action: str = ""
    """An action, or with a dot at its end all that begin so."""
    after_time: datetime | None = None
    """At this time or later."""
    before_time: datetime | None = None
    """Before this time."""


class EventRows(Protocol):
    """The journal, read. It is written by ``Transaction.record`` only."""

    def page(self, wanted: EventFilter, after: int, size: int) -> list[Event]:
        """In order of revision, from the first after ``after``."""
        ...

    def page_back(self, wanted: EventFilter, before: int | None, size: int) -> list[Event]:
        """Newest first, from the first older than ``before``."""
        ...

    def of(self, resource: str, before: int | None, size: int, *, until: datetime | None = None) -> list[Event]:
        """Of exactly this resource, newest first, from the first older than ``before``; ``until``: not after it."""
        ...

    def next_of(self, resource: str, after: int) -> Event:
        """The first of exactly this resource after a revision; there is one."""
        ...

    def newest_revision(self, resources: Sequence[str], actions: Sequence[str]) -> int:
        """Of these actions on exactly these resources; 0 when there was none."""
        ...

    def head(self) -> tuple[int, Digest]:
        """The newest revision and its hash."""
        ...
