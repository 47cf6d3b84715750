"""The feed: each new event, handed to those who watch its model.

One thread of a process reads the journal and publishes here; each watcher has a thread of its own, which sleeps until
something comes for it. A watcher that falls behind is told so, and reads the journal itself: nobody's queue grows
without end, and nobody is waited for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from weighbridge.core.values import Event
from weighbridge.core.watching import Change
from weighbridge_server.domain.journal.changes import change_of, model_of

_MOST_WAITING = 256
"""Events that wait for one watcher."""
_AT_ONCE = 8
_PAUSE_S = 0.006
"""So many watchers are woken at once, with a pause behind them: a thousand threads that all want to run would let no
short call come to its turn. What happens meanwhile comes to each watcher together, in one waking and one message: a
thousand are told within a second, however fast the changes come, and a dozen at once."""


@dataclass(frozen=True)
class News:
    """What came for a watcher while it waited."""

    changes: Sequence[Change]
    revision: int
    """Everything up to here has come, this included."""
    behind: bool
    """Some did not fit: ``Subscription.begin`` again, and read the journal up to where it says."""
    ended: bool
    """Nothing more will come."""


class Subscription:
    """One watcher's queue. Used by one thread, but for ``end``."""

    def __init__(self, feed: Feed, model: str) -> None:
        self.model = model
        self._feed = feed
        self._changed = threading.Condition()
        self._waiting: deque[Change] = deque()
        self._revision = 0
        self._behind = False
        self._ended = False

    def begin(self) -> int:
        """Begins anew, with nothing waiting; returns the revision behind which everything will come."""
        return self._feed.begin(self)

    def take(self, timeout_s: float) -> News:
        """What has come, or comes within ``timeout_s``."""
        with self._changed:
            if not (self._waiting or self._behind or self._ended):
                self._changed.wait(timeout_s)
            changes = tuple(self._waiting)
            self._waiting.clear()
            return News(changes, self._revision, self._behind, self._ended)

    def end(self) -> None:
        """Wakes the watcher for the last time. Safe to call from any thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def start(self, revision: int) -> None:
        """Called by the feed."""
        with self._changed:
            self._waiting.clear()
            self._behind = False
            self._revision = revision

    def give(self, changes: Sequence[Change], revision: int) -> bool:
        """Called by the feed; whether the watcher has something to do."""
        with self._changed:
            if self._behind or revision <= self._revision:
                return False
            fits = len(self._waiting) + len(changes) <= _MOST_WAITING
            if fits:
                self._waiting.extend(changes)
                self._revision = revision
            self._behind = not fits
            if not changes and fits:
                return False
            self._changed.notify()
            return True


class Feed:
    """Safe to use from several threads; ``publish`` from one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: set[Subscription] = set()
        self._wakes: list[Callable[[], None]] = []
        self._revision = 0
        self._ended = False

    @property
    def revision(self) -> int:
        """The newest that was published."""
        return self._revision

    def subscribe(self, model: str) -> Subscription:
        """A new watcher's queue; ``leave`` when it goes."""
        subscription = Subscription(self, model)
        with self._lock:
            self._watchers.add(subscription)
            if self._ended:
                subscription.end()
        return subscription

    def on_news(self, wake: Callable[[], None]) -> None:
        """Has something called, which must not wait, whenever events are published."""
        with self._lock:
            self._wakes.append(wake)

    def leave(self, subscription: Subscription) -> None:
        """Nothing is kept for it any more."""
        with self._lock:
            self._watchers.discard(subscription)

    def begin(self, subscription: Subscription) -> int:
        """See ``Subscription.begin``."""
        with self._lock:
            subscription.start(self._revision)
            return self._revision

    def publish(self, events: Sequence[Event], revision: int) -> None:
        """Hands out new events, in order, the newest of which has this revision."""
        by_model: dict[str, list[Change]] = {}
        for event in events:
            by_model.setdefault(model_of(event.resource), []).append(change_of(event))
        with self._lock:
            self._revision = revision
            watchers, wakes = list(self._watchers), list(self._wakes)
        for wake in wakes:
            wake()
        woken = 0
        for watcher in watchers:
            if watcher.give(by_model.get(watcher.model, ()), revision):
                woken += 1
                if woken % _AT_ONCE == 0:
                    time.sleep(_PAUSE_S)

    def end(self) -> None:
        """Wakes every watcher for the last time."""
        with self._lock:
            self._ended = True
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.end()
