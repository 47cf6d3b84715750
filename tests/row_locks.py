"""Calls that wait for one row, so that a test decides in which order they run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from raw_client import wait_until
from storage_fixtures import MODEL, Storage


def in_this_order(storage: Storage, *calls: Callable[[], object]) -> list[object]:
    """Has calls wait for the row of ``MODEL``, one behind the other, then run; what each returned or raised."""
    with ThreadPoolExecutor(len(calls)) as threads:
        with storage.catalog.transaction() as tx:
            tx.models.get(MODEL, lock=True)
            running = []
            for count, call in enumerate(calls, start=1):
                running.append(threads.submit(call))
                wait_until(partial(_are_waiting, storage, count))
        return [call.exception() or call.result() for call in running]


def _are_waiting(storage: Storage, count: int) -> bool:
    """Whether so many of the catalogue's connections wait for a lock."""
    ((waiting,),) = storage.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weighbridge' AND wait_event_type = 'Lock'"
    )
    return bool(waiting == count)
