"""Whether a caller may: every call is held against the table, and what the table does not have is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import grpc

from weighbridge.core.errors import PermissionDenied
from weighbridge.core.principals import scope_text
from weighbridge.core.values import Role
from weighbridge_server.domain.access.authentication import Authentication
from weighbridge_server.domain.access.callers import Caller, concerns, reads
from weighbridge_server.services.access_table import ACCESS, Concerned, Need, Needed, OfUpload, Row
from weighbridge_server.services.actor import caller_of, recognise, token_of
from weighbridge_server.services.handlers import Handler, behaviour_of, with_behaviour

_LOOK_AGAIN_S = 5.0
"""How long a stream of answers goes on by what its caller could do before."""
_OPEN = "/grpc.health."
_STREAMS_WITHOUT_SUBJECT = "/grpc.reflection."


class AccessInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Refuses what nothing grants, before anything is done. Health passes as it is.

    Of a stream of requests it looks at the first. A stream of answers is looked at again while it runs, so that what is
    revoked ends a watch, too.
    """

    def __init__(
        self,
        authentication: Authentication,
        model_of_upload: Callable[[str, str], str],
        administrators: Callable[[], list[str]],
        table: Mapping[str, Row] = ACCESS,
    ) -> None:
        """``model_of_upload``: of the upload of an actor. ``administrators``: some of those who can grant a role."""
        self._authentication = authentication
        self._model_of_upload = model_of_upload
        self._administrators = administrators
        self._table = table

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped."""
        handler: Any = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_OPEN):
            return handler  # type: ignore[no-any-return]
        row = self._table.get(method)
        inner = behaviour_of(handler)
        first_decides = handler.request_streaming and not method.startswith(_STREAMS_WITHOUT_SUBJECT)

        def one(incoming: Any, context: grpc.ServicerContext) -> Any:
            request, incoming = _first(incoming) if first_decides else (incoming, incoming)
            self._check(method, row, request, caller_of(context))
            return inner(incoming, context)

        def many(incoming: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            request, incoming = _first(incoming) if first_decides else (incoming, incoming)
            self._check(method, row, request, caller_of(context))
            looked = time.monotonic()

            def looked_after(answer: Any) -> Any:
                nonlocal looked
                if time.monotonic() - looked > _LOOK_AGAIN_S:
                    recognise(context, self._authentication.of(token_of(context)))
                    self._check(method, row, request, caller_of(context))
                    looked = time.monotonic()
                return answer

            # Not a loop: its variable would hold a chunk on its way a second time.
            yield from map(looked_after, inner(incoming, context))

        return with_behaviour(handler, many if handler.response_streaming else one)

    def _check(self, method: str, row: Row | None, request: Any, caller: Caller) -> None:
        if row is None or not caller.authenticated:
            raise PermissionDenied(f"{method} is open to nobody: this server has no rule for it")
        for needed in row(request):
            self._require(needed, caller)

    def _require(self, needed: Needed, caller: Caller) -> None:
        match needed:
            case OfUpload(role, upload_id):
                self._require(Need(role, self._model_of_upload(caller.actor, upload_id)), caller)
            case Need(role, name, alias):
                if not (reads(caller.readable, name) if role is Role.READER else caller.has_role(role, name, alias)):
                    raise self._denied(caller, role, name, alias)
            case Concerned(prefix):
                if not concerns(caller.readable, prefix):
                    raise self._denied(caller, Role.READER, prefix)
            case _:
                if not caller.grants:
                    raise self._denied(caller, Role.READER)

    def _denied(self, caller: Caller, role: Role, name: str = "", alias: str = "") -> PermissionDenied:
        scope = scope_text(name, alias)
        where = f"on {name}" + (f", or on {scope}" if alias else "") if name else "on any prefix"
        admins = " or ".join(self._administrators()) or "an admin"
        typed = f'"{scope}"' if "*" in scope else scope or "PREFIX"
        return PermissionDenied(
            f"this takes the role {role} {where}, which {caller.actor} has not; {admins} can grant it with "
            f"'weighbridge grant add {caller.actor} {role} {typed}'",
            details={"actor": caller.actor, "role": str(role), "scope": scope},
        )


def _first(requests: Iterator[Any]) -> tuple[Any, Iterator[Any]]:
    """The first message of a stream, None where it has none, and all of them."""
    first = next(requests, None)
    return (first, requests) if first is None else (first, chain((first,), requests))
