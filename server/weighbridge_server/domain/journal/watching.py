"""Watching: how an alias or a model stands, then each change, once and in order.

A watcher's position is the revision up to which it has everything. What lies between it and what the feed will bring is
read from the journal: at the beginning, after a disconnect, and when the watcher fell behind. So an event may be found
on both ways, and is passed over on the second; none is on neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weighbridge.core.errors import RevisionAhead, Unavailable
from weighbridge.core.refs import check_alias, check_model_name
from weighbridge.core.values import Event
from weighbridge.core.watching import Change
from weighbridge_server.domain.journal.changes import change_of
from weighbridge_server.domain.journal.feed import Feed, Subscription
from weighbridge_server.domain.journal.ports import EventFilter
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.models import existing_model

BOOKMARK_S = 20.0
_PAGE = 500


class Watch:
    """One watch: iterate it, and ``close`` it from wherever its client is known to be gone."""

    def __init__(
        self, catalog: Catalog, feed: Feed, model: str, alias: str, position: int, present: list[Event]
    ) -> None:
        self._catalog = catalog
        self._feed = feed
        self._alias = alias
        self._position = position
        self._present = present
        self._subscription: Subscription = feed.subscribe(model)
        self._closed = False
        resource = f"{model}@{alias}" if alias else ""
        self._wanted = EventFilter(resource=resource, model="" if alias else model)

    def close(self) -> None:
        """Ends the iteration."""
        self._closed = True
        self._feed.leave(self._subscription)
        self._subscription.end()

    def __iter__(self) -> Iterator[Change | Sequence[Change] | int]:
        """How aliases stand, then what happens: changes that came together, in order, and bookmarks.

        A bookmark is a revision up to which there is nothing more.

        Raises:
            Unavailable: the server is stopping.
        """
        try:
            yield from (change_of(event, present=True) for event in self._present)
            yield self._position
            while not self._closed:
                yield from self._catch_up(self._subscription.begin())
                yield from self._follow()
        finally:
            self.close()

    def _catch_up(self, target: int) -> Iterator[Sequence[Change]]:
        while self._position < target and not self._closed:
            with self._catalog.transaction() as tx:
                events = tx.events.page(self._wanted, self._position, _PAGE)
            reached = [event for event in events if event.revision <= target]
            if reached:
                yield [change_of(event) for event in reached]
                self._position = reached[-1].revision
            if len(reached) < _PAGE:
                self._position = max(self._position, target)

    def _follow(self) -> Iterator[Sequence[Change] | int]:
        while True:
            news = self._subscription.take(BOOKMARK_S)
            new = [change for change in news.changes if change.revision > self._position and self._is_wanted(change)]
            if new:
                yield new
                self._position = new[-1].revision
            if self._closed:
                return
            if news.ended:
                raise Unavailable("the server is stopping; another, or the next start, takes over")
            if news.behind:
                return
            self._position = max(self._position, news.revision)
            if not news.changes:
                yield self._position

    def _is_wanted(self, change: Change) -> bool:
        return not self._wanted.resource or change.resource == self._wanted.resource


class Watching:
    """Opens watches."""

    def __init__(self, catalog: Catalog, feed: Feed) -> None:
        self._catalog = catalog
        self._feed = feed

    def open(self, model: str, alias: str, after: int | None) -> Watch:
        """A watch of an alias or, without one, of everything that happens to a model.

        Raises:
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, RevisionAhead.
        """
        check_model_name(model)
        if alias:
            check_alias(alias)
        with self._catalog.snapshot() as tx:
            existing_model(tx, model)
            newest, _ = tx.events.head()
            if after is not None and after > newest:
                raise RevisionAhead(
                    f"revision {after} is ahead of the journal, whose newest is {newest}; was a backup restored?",
                    details={"newest": str(newest)},
                )
            moves = [] if after is not None else tx.aliases.moves(model)
        present = [event for event in moves if not alias or event.resource == f"{model}@{alias}"]
        return Watch(self._catalog, self._feed, model, alias, newest if after is None else after, present)
