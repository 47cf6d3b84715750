"""Rows of calls that came with a request id."""

from __future__ import annotations

from weighbridge.core.digest import Digest
from weighbridge_server.domain.ports import RecordedRequest
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.tables import Request


class RequestRows:
    """Implements the domain's ``Requests`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def get(self, request_id: str) -> RecordedRequest | None:
        """See the port."""
        # Two tries of one call that run at once: the second waits for the first and finds what it left.
        self._database.rows("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self._actor}\n{request_id}",))
        row = Request.get_or_none((Request.actor == self._actor) & (Request.request_id == request_id))
        return RecordedRequest(bytes(row.payload), row.result) if row else None

    def add(self, request_id: str, payload: Digest, result: str) -> None:
        """See the port."""
        Request.insert(actor=self._actor, request_id=request_id, payload=payload, result=result).execute()
