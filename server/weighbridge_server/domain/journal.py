"""Reading and proving the journal."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.digest import Digest
from weighbridge.core.errors import JournalBroken
from weighbridge.core.values import Event
from weighbridge_server.domain.event_hash import GENESIS, event_hash
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_number, page_token
from weighbridge_server.domain.ports import Catalog

_VERIFY_PAGE = 1000
_BEFORE_ALL = -(2**63)
"""Verification begins here: revisions begin at 1, and what stands before was never appended."""


class Journal:
    """Every change, in commit order."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def list(self, resource: str, page_size: int, token: str) -> tuple[list[Event], str]:
        """One page in order of revision, and the token of the next (empty: none)."""
        size = page_size or DEFAULT_SIZE
        after = page_number(token)
        with self._catalog.transaction() as tx:
            events = tx.events.page(resource, after, size + 1)
        return events[:size], page_token(str(events[size - 1].revision)) if len(events) > size else ""

    def verify(self) -> Iterator[tuple[int, Digest, bool]]:
        """Computes every hash again; yields revision and hash as far as they hold, and whether that is all.

        Raises:
            JournalBroken: naming the first revision that does not hold.
        """
        with self._catalog.transaction() as tx:
            newest, head = tx.events.head()
        revision, previous = 0, GENESIS
        while revision < newest:
            with self._catalog.transaction() as tx:
                events = tx.events.page("", revision or _BEFORE_ALL, min(_VERIFY_PAGE, newest - revision))
            if not events:
                raise _broken(revision + 1, f"events {revision + 1} to {newest} are gone")
            for event in events:
                revision += 1
                _check(event, revision, previous)
                previous = event.hash
            yield revision, previous, False
        if previous != head:
            raise _broken(newest, "the newest event is not the one that the journal's head names")
        self._nothing_beyond(newest)
        yield revision, previous, True

    def _nothing_beyond(self, newest: int) -> None:
        with self._catalog.transaction() as tx:
            later = tx.events.page("", newest, 1)
            # Read after the event: the head is moved with each append, so it has reached what was appended.
            reached, _ = tx.events.head()
        if later and later[0].revision > reached:
            raise _broken(later[0].revision, "it is beyond the journal's head, so it was not appended")


def _check(event: Event, revision: int, previous: Digest) -> None:
    if event.revision != revision:
        raise _broken(revision, f"event {revision} is gone; {event.revision} follows")
    if event.previous_hash != previous:
        raise _broken(revision, "it does not follow from the event before it")
    computed = event_hash(
        previous,
        revision=revision,
        time=event.time,
        actor=event.actor,
        action=event.action,
        resource=event.resource,
        before=event.before,
        after=event.after,
    )
    if computed != event.hash:
        raise _broken(revision, "it is not what was written")


def _broken(revision: int, what: str) -> JournalBroken:
    return JournalBroken(f"the journal is broken at revision {revision}: {what}", details={"revision": str(revision)})
