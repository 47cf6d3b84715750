"""Trying again: how long, and after which errors."""

from __future__ import annotations

import random
import threading
import time

from weighbridge.core.errors import StorageFailed, Unavailable, WeighbridgeError

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 3.0


class Patience:
    """How long one piece of work goes on trying.

    Each success renews it: a transfer that moves may take days, one that fails again and again ends ``limit_s``
    after the first failure. Time before that does not count: a source may be slow. Used by one thread.
    """

    def __init__(self, limit_s: float, ended: threading.Event) -> None:
        """``ended``: set when the client is closed, which ends every pause."""
        self._limit_s = limit_s
        self._ended = ended
        self.renew()

    def renew(self) -> None:
        """Something succeeded."""
        self._deadline: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def pause_after(self, error: WeighbridgeError) -> None:
        """Waits before the next try; raises ``error`` when there shall be none.

        Tries again what may pass by itself: a server that cannot be reached or could not write, and what
        the server gave a time for. The caller makes sure that its work may be done twice.
        """
        if not (isinstance(error, Unavailable | StorageFailed) or error.retry_after_s is not None):
            raise error
        if self._deadline is None:
            self._deadline = time.monotonic() + self._limit_s
        # Half of it random, so that a thousand clients do not come back in the same moment.
        pause_s = max(self._pause_s * random.uniform(0.5, 1.0), error.retry_after_s or 0.0)
        if time.monotonic() + pause_s > self._deadline or self._ended.wait(pause_s):
            raise error
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
