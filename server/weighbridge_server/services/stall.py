"""Streams that owe data and move none: noticed, and ended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc

T = TypeVar("T")


class Movement:
    """When a stream last moved."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context
        self.last = time.monotonic()
        self.stalled = False

    def observed(self, messages: Iterable[T]) -> Iterator[T]:
        """The messages, each noted when it comes and when the next one is asked for."""
        iterator = iter(messages)
        with contextlib.suppress(StopIteration):
            while True:
                yield self._note(next(iterator))
                self.last = time.monotonic()

    def _note(self, message: T) -> T:
        # No variable holds a message while its receiver takes its time: it may be a chunk.
        self.last = time.monotonic()
        return message


class StallWatch:
    """Ends streams in which no message has come or gone for a while.

    A thread that sends to a peer that never reads waits inside gRPC, where no exception reaches it:
    cancelling the call is what frees it.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._streams: set[Movement] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watches no longer."""
        self._closing.set()
        self._thread.join()

    @contextmanager
    def watched(self, context: grpc.ServicerContext) -> Iterator[Movement]:
        """Watches a stream for the length of the block."""
        movement = Movement(context)
        with self._lock:
            self._streams.add(movement)
        try:
            yield movement
        finally:
            with self._lock:
                self._streams.discard(movement)

    def _watch(self) -> None:
        while not self._closing.wait(min(1.0, self.limit_s / 4)):
            oldest = time.monotonic() - self.limit_s
            with self._lock:
                stalled = [stream for stream in self._streams if stream.last < oldest]
            for stream in stalled:
                stream.stalled = True
                stream.context.cancel()
