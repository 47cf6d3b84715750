"""How many streams of a kind run at once, and whether new ones may begin."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from weighbridge.core.errors import Overloaded, Unavailable

_RETRY_AFTER_S = 1.0


class Admission:
    """A number of places for streams of a kind, so that short calls and health always find a thread.

    Safe to use from several threads.
    """

    def __init__(self, places: int, what: str) -> None:
        """``what``: has the places, such as ``transfers``."""
        self._places = places
        self._what = what
        self._running = 0
        self._draining = False
        self._changed = threading.Condition()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Holds a place for the length of the block.

        Raises:
            Overloaded: all places are taken.
            Unavailable: the server is stopping.
        """
        with self._changed:
            if self._draining:
                raise Unavailable("the server is stopping; another, or the next start, takes over")
            if self._running >= self._places:
                raise Overloaded(
                    f"all {self._places} places for {self._what} are taken; try again in a moment",
                    details={"limit": str(self._places)},
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def drain(self, seconds: float, given_up: Callable[[], bool]) -> bool:
        """Admits no more, and waits until the running ones have ended; whether they did.

        ``given_up`` is asked a few times a second whether to wait no longer.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._draining = True
            while self._running and not given_up():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.2))
            return not self._running
