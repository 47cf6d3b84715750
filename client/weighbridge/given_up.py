"""Work that is given up, by Ctrl-C or by an error elsewhere: what it waits for then ends at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

_LONGEST_WAIT_S = 1.0

Result = TypeVar("Result")


class GivenUp(threading.Event):
    """Set, from any thread and for good, when nobody wants the work any more."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[Callable[[], object]] = []
        self._ends_lock = threading.Lock()

    def set(self) -> None:
        """Gives the work up."""
        super().set()
        with self._ends_lock:
            ends = list(self._ends)
        for end in ends:
            end()

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Calls ``end`` when the work is given up during the block, or was before; perhaps twice, from any thread."""
        with self._ends_lock:
            self._ends.append(end)
        try:
            if self.is_set():
                end()
            yield
        finally:
            with self._ends_lock:
                self._ends.remove(end)

    @contextmanager
    def threads(self, count: int, name: str) -> Iterator[ThreadPoolExecutor]:
        """Threads for the work; wait for it within the block, with ``results``.

        A block that an exception ends, such as Ctrl-C, gives the work up: the threads' end is waited for.
        """
        with ThreadPoolExecutor(count, thread_name_prefix=name) as threads:
            try:
                yield threads
            except BaseException:
                self.set()
                raise


def results(futures: Iterable[Future[Result]]) -> list[Result]:
    """What they gave, once all have ended, or what the first of them raised."""
    pending = list(futures)
    # A signal that comes just before a wait begins does not end that wait: it ends by itself, soon enough.
    while wait(pending, timeout=_LONGEST_WAIT_S).not_done:
        pass
    return [future.result() for future in pending]
