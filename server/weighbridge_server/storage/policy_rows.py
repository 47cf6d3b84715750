"""Rows of policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from weighbridge.core.policies import Policy, PolicyTerms
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.policy.terms import terms_document, terms_of
from weighbridge_server.storage.database import PooledDatabase

_COLUMNS = "prefix, target, revision, terms, actor, set_time"
_LOCK = 0x706F6C696379  # "policy"


class PolicyRows:
    """Implements the domain's ``PolicyRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def governing(self, prefixes: Sequence[str], target: str | None = None) -> list[Policy]:
        """See the port."""
        return self._all(
            f"""
            SELECT DISTINCT ON (target) {_COLUMNS} FROM policy_revision
            WHERE prefix = ANY(%s::text[]) AND (%s::text IS NULL OR target = %s)
            ORDER BY target, array_position(%s::text[], prefix), revision DESC
            """,
            list(prefixes),
            target,
            target,
            list(prefixes),
        )

    def get(self, prefix: str, target: str, revision: int) -> Policy | None:
        """See the port."""
        found = self._all(
            f"SELECT {_COLUMNS} FROM policy_revision WHERE prefix = %s AND target = %s AND revision = %s",
            prefix,
            target,
            revision,
        )
        return found[0] if found else None

    def present(self) -> list[Policy]:
        """See the port."""
        return self._all(
            f"""
            SELECT DISTINCT ON (prefix, target) {_COLUMNS} FROM policy_revision
            ORDER BY prefix, target, revision DESC
            """
        )

    def add(self, prefix: str, target: str, terms: PolicyTerms) -> Policy:
        """See the port."""
        (added,) = self._all(
            f"""
            INSERT INTO policy_revision (prefix, target, revision, terms, actor)
            SELECT %s, %s, coalesce(max(revision), 0) + 1, %s, %s FROM policy_revision
            WHERE prefix = %s AND target = %s
            RETURNING {_COLUMNS}
            """,
            prefix,
            target,
            canonical_json(terms_document(terms)),
            self._actor,
            prefix,
            target,
        )
        return added

    def lock(self, *, shared: bool) -> None:
        """See the port."""
        # Not of a row: the first policy of a prefix has none yet.
        kind = "_shared" if shared else ""
        self._database.rows(f"SELECT pg_advisory_xact_lock{kind}(%s)", (_LOCK,))

    def _all(self, sql: str, *params: Any) -> list[Policy]:
        return [
            Policy(prefix, target, revision, terms_of(json.loads(terms)), actor, set_time)
            for prefix, target, revision, terms, actor, set_time in self._database.rows(sql, params)
        ]
