"""What happens around every stream: a place is taken for it, and it is ended when nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from weighbridge.core.errors import DeadlineExceeded
from weighbridge_server.services.admission import Admission
from weighbridge_server.services.handlers import Handler, behaviour_of, with_behaviour
from weighbridge_server.services.stall import Movement, StallWatch

_TRANSFERS = "/weighbridge.v1.TransferService/"
_WATCH = "/weighbridge.v1.JournalService/Watch"
_HEALTH = "/grpc.health."


class StreamInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Wraps every streaming method but those of health: each holds a thread as long as it runs."""

    def __init__(self, transfers: Admission, watches: Admission, others: Admission, stalls: StallWatch) -> None:
        """``transfers``: the places of ``TransferService``. ``watches``: of watches. ``others``: of other streams."""
        self._transfers = transfers
        self._watches = watches
        self._others = others
        self._stalls = stalls

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped."""
        handler: Any = continuation(handler_call_details)
        streaming = handler is not None and (handler.request_streaming or handler.response_streaming)
        method = handler_call_details.method
        if not streaming or method.startswith(_HEALTH):
            return handler  # type: ignore[no-any-return]
        admission = self._places(method)
        inner = behaviour_of(handler)

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            with self._running(admission, context) as movement:
                return inner(movement.observed(request), context)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._running(admission, context) as movement:
                incoming = movement.observed(request) if handler.request_streaming else request
                yield from movement.observed(inner(incoming, context))

        return with_behaviour(handler, many if handler.response_streaming else one)

    def _places(self, method: str) -> Admission:
        if method.startswith(_TRANSFERS):
            return self._transfers
        return self._watches if method == _WATCH else self._others

    @contextmanager
    def _running(self, admission: Admission, context: grpc.ServicerContext) -> Iterator[Movement]:
        with admission.admitted(), self._stalls.watched(context) as movement:
            try:
                yield movement
            except (grpc.RpcError, GeneratorExit) as fault:  # it waited for a message, or to send one
                if not movement.stalled:
                    raise
                raise DeadlineExceeded(f"nothing moved for {self._stalls.limit_s:g} s") from fault
