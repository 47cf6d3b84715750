"""Who calls."""

from __future__ import annotations

from urllib.parse import unquote

import grpc

from weighbridge.wire.channel import ACTOR_HEADER
from weighbridge_server.domain.access.authentication import Authenticated
from weighbridge_server.domain.access.callers import Caller

_LONGEST = 256
_AUTHENTICATED = "weighbridge_authenticated"
"""Where a call's context keeps whom its token proved: gRPC hands the same one to everything around the call."""
_BEARER = "bearer "


def recognise(context: grpc.ServicerContext, authenticated: Authenticated) -> None:
    """Notes who calls, for the rest of the call."""
    setattr(context, _AUTHENTICATED, authenticated)


def authenticated_of(context: grpc.ServicerContext) -> Authenticated | None:
    """Whom the call's token proved; None where the server does not ask."""
    found: Authenticated | None = getattr(context, _AUTHENTICATED, None)
    return found


def token_of(context: grpc.ServicerContext) -> str | None:
    """The token that came with the call."""
    said = _metadata(context).get("authorization", "")
    return said[len(_BEARER) :].strip() if said[: len(_BEARER)].lower() == _BEARER else None


def actor_of(context: grpc.ServicerContext) -> str:
    """Whom the token proved; else the declared user, marked: without authentication anyone can declare anything."""
    authenticated = authenticated_of(context)
    if authenticated is not None:
        return authenticated.caller.actor
    declared = unquote(_metadata(context).get(ACTOR_HEADER, "")).replace("\0", "")[:_LONGEST]
    return f"unauthenticated:{declared or 'anonymous'}"


def caller_of(context: grpc.ServicerContext) -> Caller:
    """Who calls, with what they may do."""
    authenticated = authenticated_of(context)
    return Caller(actor_of(context)) if authenticated is None else authenticated.caller


def _metadata(context: grpc.ServicerContext) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
