"""Trying again: how long, and with what pauses. Which errors are worth it is theirs to say: ``retryable``."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from weighbridge.core.errors import WeighbridgeError

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 3.0

Result = TypeVar("Result")


class Patience:
    """How long one piece of work goes on trying.

    Each success renews it: a transfer that moves may take days, one that fails again and again ends ``limit_s``
    after the first failure. Time before that does not count: a source may be slow. Used by one thread.
    """

    def __init__(self, limit_s: float, *ended: threading.Event) -> None:
        """``ended``: events after which nothing is tried again; the first of them also cuts a pause short."""
        self._limit_s = limit_s
        self._ended = ended
        self.renew()

    def renew(self) -> None:
        """Something succeeded."""
        self._deadline: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def pause_after(self, error: WeighbridgeError) -> None:
        """Waits before the next try; raises ``error`` when there shall be none.

        The caller makes sure that its work may be done twice.
        """
        if not error.retryable:
            raise error
        if self._deadline is None:
            self._deadline = time.monotonic() + self._limit_s
        # Half of it random, so that a thousand clients do not come back in the same moment.
        pause_s = max(self._pause_s * random.uniform(0.5, 1.0), error.retry_after_s or 0.0)
        if time.monotonic() + pause_s > self._deadline:
            raise error
        self._ended[0].wait(pause_s)
        if any(event.is_set() for event in self._ended):
            raise error
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    def run(self, make: Callable[[], Result]) -> Result:
        """What ``make`` returns, once it does."""
        while True:
            try:
                return make()
            except WeighbridgeError as error:
                self.pause_after(error)
