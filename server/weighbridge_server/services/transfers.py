"""What happens around every transfer: a place is taken for it, and it is ended when nothing moves."""

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


class TransferInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Wraps the streaming methods of ``TransferService``."""

    def __init__(self, admission: Admission, stalls: StallWatch) -> None:
        self._admission = admission
        self._stalls = stalls

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped."""
        handler: Any = continuation(handler_call_details)
        streaming = handler is not None and (handler.request_streaming or handler.response_streaming)
        if not streaming or not handler_call_details.method.startswith(_TRANSFERS):
            return handler  # type: ignore[no-any-return]
        inner = behaviour_of(handler)

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            with self._transfer(context) as movement:
                return inner(movement.observed(request), context)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._transfer(context) as movement:
                incoming = movement.observed(request) if handler.request_streaming else request
                yield from movement.observed(inner(incoming, context))

        return with_behaviour(handler, many if handler.response_streaming else one)

    @contextmanager
    def _transfer(self, context: grpc.ServicerContext) -> Iterator[Movement]:
        with self._admission.admitted(), self._stalls.watched(context) as movement:
            try:
                yield movement
            except grpc.RpcError as fault:
                if not movement.stalled:
                    raise
                raise DeadlineExceeded(f"nothing moved for {self._stalls.limit_s:g} s") from fault
