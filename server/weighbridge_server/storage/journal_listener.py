"""The process's one reader of new events: PostgreSQL says that there are some, and it hands them on in order."""

from __future__ import annotations

import logging
import threading

import psycopg

from weighbridge.core.errors import StorageFailed
from weighbridge_server.domain.journal.feed import Feed
from weighbridge_server.domain.journal.ports import EventFilter
from weighbridge_server.domain.ports import Catalog

CHANNEL = "weighbridge_journal"
"""Each transaction that appends notifies it; its commit is what sends that."""
_PAGE = 1000
_LOOK_AGAIN_S = 5.0
"""Should a notice be lost, by a proxy of connections say, this is how late events come."""
_PAUSE_S = 1.0
_CONNECT_S = 10

_log = logging.getLogger(__name__)


class JournalListener:
    """Publishes to a feed. A lost connection loses nothing: it goes on behind the last revision that it handed on."""

    def __init__(self, url: str, catalog: Catalog, feed: Feed) -> None:
        self._url = url
        self._catalog = catalog
        self._feed = feed
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-listener", daemon=True)

    def start(self) -> None:
        """Begins behind the newest event; call it before anybody watches."""
        with self._catalog.transaction() as tx:
            newest, _ = tx.events.head()
        self._feed.publish((), newest)
        self._thread.start()

    def close(self) -> None:
        """Listens no longer, and ends those who watch."""
        self._closing.set()
        self._feed.end()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with psycopg.connect(
                    self._url, autocommit=True, application_name="weighbridge listener", connect_timeout=_CONNECT_S
                ) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._listen(connection)
            except (psycopg.Error, StorageFailed) as fault:
                _log.warning("the journal's listener lost the database: %s", fault)
                self._closing.wait(_PAUSE_S)
            except Exception:  # noqa: BLE001 - who watches waits for this thread alone: it must not end
                _log.exception("the journal's listener failed; it goes on behind the last revision that it handed on")
                self._closing.wait(_PAUSE_S)

    def _listen(self, connection: psycopg.Connection) -> None:
        waited_s = 0.0
        self._hand_on()
        while not self._closing.is_set():
            # In short waits, so that the end of the server is noticed.
            noticed = list(connection.notifies(timeout=0.25, stop_after=1))
            waited_s = 0.0 if noticed else waited_s + 0.25
            if noticed or waited_s >= _LOOK_AGAIN_S:
                waited_s = 0.0
                self._hand_on()

    def _hand_on(self) -> None:
        while not self._closing.is_set():
            with self._catalog.transaction() as tx:
                events = tx.events.page(EventFilter(), self._feed.revision, _PAGE)
            if events:
                self._feed.publish(events, events[-1].revision)
            if len(events) < _PAGE:
                return
