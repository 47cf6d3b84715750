"""Who calls."""

from __future__ import annotations

from urllib.parse import unquote

import grpc

from weighbridge.wire.channel import ACTOR_HEADER

_LONGEST = 256


def actor_of(context: grpc.ServicerContext) -> str:
    """The declared user, marked: without authentication anyone can declare anything."""
    metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
    declared = unquote(metadata.get(ACTOR_HEADER, "")).replace("\0", "")[:_LONGEST]
    return f"unauthenticated:{declared or 'anonymous'}"
