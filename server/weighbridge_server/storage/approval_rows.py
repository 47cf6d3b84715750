"""Rows of requests for approval, and their answers."""

from __future__ import annotations

from typing import Any

from weighbridge.core.policies import Approval
from weighbridge_server.domain.policy.ports import Answer, Binding, RequestRow
from weighbridge_server.storage.database import PooledDatabase

_REQUESTS = """
    SELECT r.id, m.name, v.number, r.target, r.requester, r.requested_time, r.comment, r.done,
           r.closed_time IS NOT NULL
    FROM approval_request r JOIN version v ON v.id = r.version_id JOIN model m ON m.id = v.model_id
"""
_THIS = "(SELECT v.id FROM version v JOIN model m ON m.id = v.model_id WHERE m.name = %s AND v.number = %s)"


class ApprovalRows:
    """Implements the domain's ``ApprovalRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def present(self, model: str, number: int, target: str) -> RequestRow | None:
        """See the port."""
        found = self._requests(
            "WHERE m.name = %s AND v.number = %s AND r.target = %s ORDER BY r.id DESC LIMIT 1", model, number, target
        )
        return found[0] if found else None

    def add(self, model: str, number: int, target: str, requester: str, comment: str) -> None:
        """See the port."""
        self._close(model, number, target, done=False)
        self._database.rows(
            f"INSERT INTO approval_request (version_id, target, requester, comment) VALUES ({_THIS}, %s, %s, %s)",
            (model, number, target, requester, comment),
        )

    def answer(self, request_id: int, comment: str, binding: Binding, *, approved: bool) -> None:
        """See the port."""
        self._database.rows(
            """
            INSERT INTO approval_answer (request_id, actor, comment, approved, policy_prefix, policy_revision,
                                         pointer_revision, record_digest)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                request_id,
                self._actor,
                comment,
                approved,
                binding.policy_prefix,
                binding.policy_revision,
                binding.pointer_revision,
                binding.record_digest,
            ),
        )

    def finish(self, model: str, number: int, target: str) -> None:
        """See the port."""
        self._close(model, number, target, done=True)

    def page(self, model: str, after: int, size: int, *, closed: bool) -> list[RequestRow]:
        """See the port."""
        return self._requests(
            """
            WHERE r.id > %s AND (%s = '' OR m.name = %s) AND (%s OR r.closed_time IS NULL)
              AND m.deleted_time IS NULL AND v.deleted_time IS NULL
            ORDER BY r.id LIMIT %s
            """,
            after,
            model,
            model,
            closed,
            size,
        )

    def _close(self, model: str, number: int, target: str, *, done: bool) -> None:
        self._database.rows(
            f"""
            UPDATE approval_request SET closed_time = now(), done = %s
            WHERE version_id = {_THIS} AND target = %s AND closed_time IS NULL
            """,
            (done, model, number, target),
        )

    def _requests(self, which: str, *params: Any) -> list[RequestRow]:
        rows = self._database.rows(_REQUESTS + which, params)
        answers = self._answers([row[0] for row in rows])
        return [RequestRow(*(*row, tuple(answers.get(row[0], ())))) for row in rows]

    def _answers(self, requests: list[int]) -> dict[int, list[Answer]]:
        rows = self._database.rows(
            """
            SELECT request_id, actor, answered_time, comment, approved, policy_prefix, policy_revision,
                   pointer_revision, record_digest
            FROM approval_answer WHERE request_id = ANY(%s) ORDER BY id
            """,
            (requests,),
        )
        found: dict[int, list[Answer]] = {}
        for request_id, actor, time, comment, approved, prefix, revision, pointer, digest in rows:
            binding = Binding(prefix, revision, pointer, bytes(digest))
            found.setdefault(request_id, []).append(Answer(Approval(actor, time, comment), approved, binding))
        return found
