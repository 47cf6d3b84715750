"""Rows of descent: which version was made from which."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from weighbridge.core.refs import version_ref
from weighbridge.core.values import Dataset, Parent, Relation
from weighbridge_server.domain.registry.ports import Descent
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.name_prefixes import below

_STEPS = {False: ("version_id", "parent_id"), True: ("parent_id", "version_id")}
"""From where to where, up and down."""


class LineageRows:
    """Implements the domain's ``LineageRows`` within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def add(self, model: str, number: int, parents: Sequence[Parent]) -> None:
        """See the port."""
        self._database.rows(
            """
            INSERT INTO version_parent (version_id, parent_id, relation)
            SELECT DISTINCT v.id, p.id, said.relation
            FROM unnest(%s::text[], %s::text[]) AS said(ref, relation)
            JOIN model pm ON pm.name = split_part(said.ref, ':', 1)
            JOIN version p ON p.model_id = pm.id AND p.number = split_part(said.ref, ':', 2)::bigint
            JOIN model m ON m.name = %s
            JOIN version v ON v.model_id = m.id AND v.number = %s
            """,
            ([parent.ref for parent in parents], [str(parent.relation) for parent in parents], model, number),
        )

    def key(self, model: str, number: int) -> int:
        """See the port."""
        ((key,),) = self._database.rows(
            "SELECT v.id FROM version v JOIN model m ON m.id = v.model_id WHERE m.name = %s AND v.number = %s",
            (model, number),
        )
        return int(key)

    def made_from_dataset(self, digest: str, most: int) -> list[int]:
        """See the port."""
        rows = self._database.rows(
            "SELECT DISTINCT version_id FROM version_dataset WHERE digest = %s ORDER BY version_id LIMIT %s",
            (digest, most),
        )
        return [key for (key,) in rows]

    def reach(self, keys: Sequence[int], *, down: bool, most: int) -> list[int]:
        """See the port."""
        begin, end = _STEPS[down]
        # UNION drops what came before, so that each version is expanded once however many lines lead to it, and each
        # round is one generation: what LIMIT leaves out is farther away than what it keeps. The subquery with OFFSET
        # is asked for each version by index; a join would read the whole table in each round where the planner
        # takes it for small.
        rows = self._database.rows(
            f"""
            WITH RECURSIVE reached(id) AS (
                SELECT unnest(%s::bigint[])
                UNION
                SELECT step.id FROM reached
                CROSS JOIN LATERAL (
                    SELECT {end} AS id FROM version_parent WHERE {begin} = reached.id OFFSET 0
                ) AS step
            )
            SELECT id FROM reached LIMIT %s
            """,
            (list(keys), most),
        )
        return [key for (key,) in rows]

    def readable(self, keys: Sequence[int], prefixes: Collection[str]) -> set[int]:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT v.id FROM version v JOIN model m ON m.id = v.model_id
            WHERE v.id = ANY(%s::bigint[]) AND {below("m.name")}
            """,
            (list(keys), list(prefixes)),
        )
        return {key for (key,) in rows}

    def among(self, keys: Sequence[int]) -> list[Descent]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT version_id, parent_id, relation FROM version_parent
            WHERE version_id = ANY(%s::bigint[]) AND parent_id = ANY(%s::bigint[])
            ORDER BY version_id, parent_id, relation
            """,
            (list(keys), list(keys)),
        )
        return [Descent(child, parent, _RELATIONS[relation]) for child, parent, relation in rows]

    def children(self, model: str, number: int, most: int) -> list[str]:
        """See the port."""
        return self._children("p.number = %s", "true", model, number, most)

    def children_elsewhere(self, model: str, most: int) -> list[str]:
        """See the port."""
        return self._children("true", "cm.name <> %s", model, model, most)

    def _children(self, which_parents: str, which: str, *params: Any) -> list[str]:
        rows = self._database.rows(
            f"""
            SELECT cm.name, c.number FROM version c JOIN model cm ON cm.id = c.model_id
            WHERE c.deleted_time IS NULL AND cm.deleted_time IS NULL AND c.id IN (
                SELECT e.version_id FROM version_parent e
                JOIN version p ON p.id = e.parent_id JOIN model pm ON pm.id = p.model_id
                WHERE pm.name = %s AND {which_parents}
            ) AND {which}
            ORDER BY c.id LIMIT %s
            """,
            params,
        )
        return [version_ref(child, child_number) for child, child_number in rows]

    def datasets(self, keys: Sequence[int]) -> dict[int, list[Dataset]]:
        """See the port."""
        rows = self._database.rows(
            """
            SELECT version_id, name, version, digest, uri, role FROM version_dataset
            WHERE version_id = ANY(%s::bigint[]) ORDER BY version_id, ordinal
            """,
            (list(keys),),
        )
        found: dict[int, list[Dataset]] = {key: [] for key in keys}
        for key, *said in rows:
            found[key].append(Dataset(*said))
        return found


_RELATIONS = {str(relation): relation for relation in Relation}
