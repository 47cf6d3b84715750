"""What happens first in every call of a server that asks who calls: its token is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from weighbridge_server.domain.access.authentication import Authentication
from weighbridge_server.services.actor import recognise, token_of
from weighbridge_server.services.handlers import Handler, behaviour_of, with_behaviour
from weighbridge_server.services.interceptor import is_ours


class AuthenticationInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Refuses a call whose token proves nobody, before its request is looked at. Health passes as it is."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped."""
        handler: Any = continuation(handler_call_details)
        if handler is None or not is_ours(handler_call_details.method):
            return handler  # type: ignore[no-any-return]
        inner = behaviour_of(handler)

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            recognise(context, self._authentication.of(token_of(context)))
            return inner(request, context)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            recognise(context, self._authentication.of(token_of(context)))
            yield from inner(request, context)

        return with_behaviour(handler, many if handler.response_streaming else one)
