"""The one reader of new events goes on whatever happens to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raw_client import wait_until
from storage_fixtures import open_storage
from weighbridge.core.values import Event
from weighbridge_server.domain.journal.feed import Feed
from weighbridge_server.storage.journal_listener import JournalListener


class FailsOnce(Feed):
    """A feed that cannot take the first events that come."""

    failed = False

    def publish(self, events: Sequence[Event], revision: int) -> None:
        """See ``Feed``."""
        if events and not self.failed:
            self.failed = True
            raise RuntimeError("out of order")
        super().publish(events, revision)


def test_a_listener_that_fails_goes_on_and_loses_no_event(empty_database: str, tmp_path: Path) -> None:
    with open_storage(empty_database, tmp_path / "packs") as storage:
        feed = FailsOnce()
        listener = JournalListener(storage.url, storage.catalog, feed)
        listener.start()
        try:
            storage.models.create("ada", "", "a.b.c", "ada", "")
            wait_until(lambda: feed.revision == 1)
        finally:
            listener.close()
    assert feed.failed
