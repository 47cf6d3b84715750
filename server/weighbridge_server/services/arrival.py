"""Calls with one request, which has yet to come: waited for here, and not inside gRPC.

gRPC takes a thread for a call when its headers come, and keeps it until the request does. A client that sends
headers and nothing else would hold as many threads as it likes, until no call finds one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from weighbridge_server.services.handlers import Handler, behaviour_of, with_behaviour

MOST_WAITING = 64
"""More wait for their requests only for a moment; each has a thread."""

_MOMENT_S = 1.0
"""Far longer than a request needs that follows its headers."""


class Arrivals:
    """Who waits for a request. Ends those that wait too long, and sooner while many wait.

    Safe to use from several threads.
    """

    def __init__(self, limit_s: float) -> None:
        """``limit_s``: how long a request may take while few wait."""
        self._limit_s = limit_s
        self._since: dict[grpc.ServicerContext, float] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="arrivals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watches no longer."""
        self._closing.set()
        self._thread.join()

    @contextmanager
    def awaited(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Waits for the request of this call within the block."""
        with self._lock:
            self._since[context] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._since.pop(context, None)

    def _watch(self) -> None:
        while not self._closing.wait(_MOMENT_S / 4):
            with self._lock:
                limit_s = _MOMENT_S if len(self._since) > MOST_WAITING else self._limit_s
                oldest = time.monotonic() - limit_s
                late = [context for context, since in self._since.items() if since < oldest]
            for context in late:
                context.cancel()


class ArrivalInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Wraps each method that takes one request, those of health too. Goes first, as the others see the request."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped: for gRPC it takes a stream of requests."""
        handler: Any = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler  # type: ignore[no-any-return]
        inner: Any = behaviour_of(handler)

        def behaviour(requests: Iterator[Any], context: grpc.ServicerContext, *callback: Any) -> Any:
            with self._arrivals.awaited(context):
                request = next(requests, None)
            if request is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call ended before its request came")
            return inner(request, context, *callback)

        # How the health service tells gRPC that its Watch takes no thread.
        vars(behaviour)["experimental_non_blocking"] = getattr(inner, "experimental_non_blocking", False)
        return with_behaviour(handler, behaviour, request_streaming=True)
