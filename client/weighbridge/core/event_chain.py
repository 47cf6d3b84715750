"""Following the journal from event to event: what was changed, removed, reordered or added does not fit."""

from __future__ import annotations

from weighbridge.core.digest import Digest
from weighbridge.core.errors import JournalBroken
from weighbridge.core.event_hash import GENESIS, hash_of
from weighbridge.core.values import Event


class EventChain:
    """The events that were followed so far: all are what was written, in its order."""

    def __init__(self) -> None:
        """Nothing was followed yet."""
        self.revision = 0
        self.hash: Digest = GENESIS

    def follow(self, event: Event) -> None:
        """Takes the next event.

        Raises:
            JournalBroken: it is not the next, or not what was written.
        """
        expected = self.revision + 1
        if event.revision > expected:
            raise broken(expected, f"event {expected} is gone; {event.revision} follows")
        if event.revision < expected:
            raise broken(expected, f"event {event.revision} stands in its place")
        if event.previous_hash != self.hash:
            raise broken(expected, "it does not follow from the event before it")
        if hash_of(event) != event.hash:
            raise broken(expected, "it is not what was written")
        self.revision, self.hash = expected, event.hash


def broken(revision: int, what: str) -> JournalBroken:
    """The error that names the first revision that does not hold."""
    return JournalBroken(f"the journal is broken at revision {revision}: {what}", details={"revision": str(revision)})
