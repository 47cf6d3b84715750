"""Reading and proving the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from weighbridge.core.digest import Digest
from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.event_chain import EventChain, broken
from weighbridge.core.refs import check_model_name
from weighbridge.core.values import Event
from weighbridge_server.domain.journal.ports import EventFilter
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_number, page_token
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.names import check_new_name

_VERIFY_PAGE = 1000
_PAGE_CHARACTERS = 500_000
"""A page ends behind so much text: at most four bytes each, it fits into a message of 4 MiB."""
_BEFORE_ALL = -(2**63)
"""Verification begins here: revisions begin at 1, and what stands before was never appended."""
_ALL = EventFilter()


@dataclass(frozen=True)
class Proven:
    """How far a verification has come."""

    revision: int
    hash: Digest
    """At that revision."""
    newest: int
    """The revision that it goes up to."""
    done: bool
    """That one was reached, and nothing is beyond it."""


class Journal:
    """Every change, in commit order."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def list(
        self, page_size: int, token: str, wanted: EventFilter = _ALL, *, newest_first: bool = False
    ) -> tuple[list[Event], str]:
        """One page in order of revision, or newest first, and the token of the next (empty: none).

        Raises:
            InvalidName: ``wanted.model`` is no model's name.
            InvalidRequest: the token is not one that this call returned; the times leave no time.
        """
        if wanted.model:
            check_model_name(wanted.model)
        _check_times(wanted)
        size = page_size or DEFAULT_SIZE
        key = page_number(token)
        with self._catalog.transaction() as tx:
            if wanted.model and tx.models.get(wanted.model) is None:
                check_new_name(tx, wanted.model)
            if newest_first:
                events = tx.events.page_back(wanted, key or None, size + 1)
            else:
                events = tx.events.page(wanted, key, size + 1)
        page = events[: min(size, fitting(events))]
        return page, page_token(str(page[-1].revision)) if len(events) > len(page) else ""

    def verify(self) -> Iterator[Proven]:
        """Computes every hash again; yields how far they hold.

        Raises:
            JournalBroken: naming the first revision that does not hold.
        """
        with self._catalog.transaction() as tx:
            newest, head = tx.events.head()
        chain = EventChain()
        most = _VERIFY_PAGE
        while chain.revision < newest:
            size = min(most, newest - chain.revision)
            try:
                with self._catalog.transaction() as tx:
                    events = tx.events.page(_ALL, chain.revision or _BEFORE_ALL, size)
            except InvalidRequest as fault:  # a time that no calendar has
                if size == 1:
                    raise broken(chain.revision + 1, f"it cannot be read: {fault.message}") from fault
                most = 1  # one by one, to name it
                continue
            if not events:
                raise broken(chain.revision + 1, f"events {chain.revision + 1} to {newest} are gone")
            for event in events:
                chain.follow(event)
            yield Proven(chain.revision, chain.hash, newest, False)
        if chain.hash != head:
            raise broken(newest, "the newest event is not the one that the journal's head names")
        self._nothing_beyond(newest)
        yield Proven(chain.revision, chain.hash, newest, True)

    def _nothing_beyond(self, newest: int) -> None:
        with self._catalog.transaction() as tx:
            later = tx.events.page(_ALL, newest, 1)
            # Read after the event: the head is moved with each append, so it has reached what was appended.
            reached, _ = tx.events.head()
        if later and later[0].revision > reached:
            raise broken(later[0].revision, "it is beyond the journal's head, so it was not appended")


def fitting(events: list[Event]) -> int:
    """How many fit into one page, at least one."""
    lengths = accumulate(len(event.before) + len(event.after) + len(event.resource) for event in events)
    return max(1, sum(length <= _PAGE_CHARACTERS for length in lengths))


def _check_times(wanted: EventFilter) -> None:
    if wanted.after_time is not None and wanted.before_time is not None and wanted.before_time <= wanted.after_time:
        raise InvalidRequest(
            "no event is after the one time and before the other",
            violations=[Violation("before_time", "is not later than after_time")],
        )
