"""Calls that may come twice: the second try returns what the first left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from weighbridge.core.errors import RequestIdReused
from weighbridge_server.domain.canonical import json_digest
from weighbridge_server.domain.ports import Transaction


def once(tx: Transaction, request_id: str, payload: Mapping[str, Any], make: Callable[[], str]) -> str:
    """Runs ``make`` unless a call with this id ran it before; returns what it returned then or now.

    Raises:
        RequestIdReused: the earlier call had another payload.
    """
    if not request_id:
        return make()
    digest = json_digest(payload)
    earlier = tx.requests.get(request_id)
    if earlier is None:
        result = make()
        tx.requests.add(request_id, digest, result)
        return result
    if earlier.payload != digest:
        raise RequestIdReused(
            f"request_id {request_id!r} came before with another payload; choose a new one for a new call",
            details={"request_id": request_id},
        )
    return earlier.result
