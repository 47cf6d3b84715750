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

    def forget(self, older_than_s: int) -> None:
        """See the port."""
        self._database.rows("DELETE FROM request WHERE made_time < now() - make_interval(secs => %s)", (older_than_s,))

    def add(self, request_id: str, payload: Digest, result: str) -> None:
        """See the port."""
        self._database.rows(
            "INSERT INTO request (actor, request_id, payload, result) VALUES (%s, %s, %s, %s)",
            (self._actor, request_id, payload, result),
        )
