"""What has to be done now and then.

Uploads end by themselves, what ended long ago is forgotten, and what was deleted long ago is purged.
"""

from __future__ import annotations

import logging
import threading

from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.purge import purge_deleted

INTERVAL_S = 60.0
KEEP_ENDED_S = 24 * 3600
"""How long the chunks of an upload that ended stay held, so that the next try need not send them."""

KEEP_REQUESTS_S = 8 * 24 * 3600
"""How long a request id is remembered: longer than any upload lives."""

_FORGOTTEN_AT_ONCE = 20

_log = logging.getLogger(__name__)


class Housekeeping:
    """Runs in a thread of its own. Any number of servers may do the same at once."""

    def __init__(self, catalog: Catalog, *, purge_after_days: float = 0.0) -> None:
        """``purge_after_days``: how long deleted versions can be restored; 0: always."""
        self._catalog = catalog
        self._purge_after_s = purge_after_days * 24 * 3600
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends after the step that runs."""
        self._closing.set()
        self._thread.join()

    def run_once(self) -> None:
        """Ends the uploads whose time ran out, forgets what ended long ago, and purges what was deleted long ago."""
        with self._catalog.transaction() as tx:
            expired = tx.uploads.expire()
        if expired:
            _log.info("%d uploads ran out of time", expired)
        with self._catalog.transaction() as tx:
            tx.requests.forget(KEEP_REQUESTS_S)
        while not self._closing.is_set():
            # Each may have held a row for every chunk of a large model: a few at a time.
            with self._catalog.transaction() as tx:
                forgotten = tx.uploads.forget(KEEP_ENDED_S, _FORGOTTEN_AT_ONCE)
            if not forgotten:
                break
            _log.info("%d uploads that ended a day ago are forgotten", forgotten)
        while self._purge_after_s and not self._closing.is_set():
            purged = purge_deleted(self._catalog, self._purge_after_s)
            if not purged:
                break
            _log.info("%d versions that were deleted long ago are purged", purged)

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            try:
                self.run_once()
            except Exception:  # noqa: BLE001 - whatever it was, the next turn comes
                _log.exception("housekeeping failed; it tries again at its next turn")
