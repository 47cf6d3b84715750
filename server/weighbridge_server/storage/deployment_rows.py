"""Rows of deployments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from weighbridge.core.deployments import Deployment
from weighbridge.core.digest import Digest
from weighbridge.core.refs import version_ref
from weighbridge.core.values import Stage, Version
from weighbridge_server.domain.deployments.ports import Running
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.name_prefixes import below_any

_COLUMNS = """
    d.node, d.model, v.number, d.manifest, d.alias, v.stage, d.actor, d.since_time, d.reported_time, d.ttl_s,
    now() <= d.reported_time + make_interval(secs => d.ttl_s)
"""
_FROM = "FROM deployment d LEFT JOIN version v ON v.id = d.version_id"


class DeploymentRows:
    """Implements the domain's ``DeploymentRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self._database = database
        self._actor = actor

    def renew(self, node: str, model: str, number: int, alias: str, ttl_s: int) -> bool:
        """See the port."""
        rows = self._database.rows(
            """
            UPDATE deployment SET reported_time = now(), ttl_s = %s
            WHERE model = %s AND node = %s AND alias = %s AND version_id = (
                SELECT v.id FROM version v JOIN model m ON m.id = v.model_id WHERE m.name = %s AND v.number = %s
            )
            RETURNING node
            """,
            (ttl_s, model, node, alias, model, number),
        )
        return bool(rows)

    def get(self, node: str, model: str) -> Deployment | None:
        """See the port."""
        rows = self._database.rows(f"SELECT {_COLUMNS} {_FROM} WHERE d.model = %s AND d.node = %s", (model, node))
        return _deployment(rows[0]) if rows else None

    def put(self, node: str, version: Version | None, manifest: Digest, alias: str, ttl_s: int) -> None:
        """See the port."""
        model, number = ("", None) if version is None else (version.model, version.version)
        self._database.rows(
            """
            INSERT INTO deployment AS d (model, node, version_id, manifest, alias, actor, ttl_s)
            VALUES (%s, %s, (
                SELECT v.id FROM version v JOIN model m ON m.id = v.model_id WHERE m.name = %s AND v.number = %s
            ), %s, %s, %s, %s)
            ON CONFLICT (model, node) DO UPDATE SET
                since_time = CASE WHEN d.manifest = excluded.manifest
                                   AND d.version_id IS NOT DISTINCT FROM excluded.version_id
                             THEN d.since_time ELSE now() END,
                version_id = excluded.version_id, manifest = excluded.manifest, alias = excluded.alias,
                actor = excluded.actor, ttl_s = excluded.ttl_s, reported_time = now()
            """,
            (model, node, model, number, manifest, alias, self._actor, ttl_s),
        )

    def retire(self, node: str, model: str) -> None:
        """See the port."""
        self._database.rows("DELETE FROM deployment WHERE model = %s AND node = %s", (model, node))

    def models(self, node: str) -> list[str]:
        """See the port."""
        rows = self._database.rows("SELECT model FROM deployment WHERE node = %s ORDER BY model", (node,))
        return [model for (model,) in rows]

    def page(
        self,
        model: str,
        ref: tuple[str, int] | None,
        *,
        live: bool,
        after: Sequence[str],
        size: int,
        readable: Collection[str] | None = None,
    ) -> list[Deployment]:
        """See the port."""
        of_model, number = ref or (model, None)
        rows = self._database.rows(
            f"""
            SELECT {_COLUMNS} {_FROM}
            WHERE (%s = '' OR d.model = %s)
              AND (%s::bigint IS NULL OR v.number = %s)
              AND (NOT %s OR now() <= d.reported_time + make_interval(secs => d.ttl_s))
              AND (d.model, d.node) > (%s, %s)
              AND {below_any("d.model")}
            ORDER BY d.model, d.node LIMIT %s
            """,
            (of_model, of_model, number, number, live, *after, *_twice(readable), size),
        )
        return [_deployment(row) for row in rows]

    def running(self, model: str, most: int, readable: Collection[str] | None) -> list[Running]:
        """See the port."""
        rows = self._database.rows(
            f"""
            WITH d AS (
                SELECT * FROM deployment d
                WHERE (%s = '' OR d.model = %s) AND {below_any("d.model")}
                ORDER BY d.reported_time, d.model, d.node LIMIT %s
            ), followed AS MATERIALIZED (
                -- What nodes run and follow, each but once: since when the alias points at other content. An alias
                -- that goes on moving does not set the clock back; one that never was leaves nobody behind.
                SELECT f.*, held.number, coalesce((
                    SELECT e.time FROM event e WHERE e.resource = f.resource AND e.revision > (
                        SELECT max(x.revision) FROM event x JOIN version w
                            ON w.model_id = f.model_id AND w.number = (x.after::json ->> 'version')::bigint
                        WHERE x.resource = f.resource AND x.after <> '' AND w.manifest = f.manifest
                    ) ORDER BY e.revision LIMIT 1
                ), '-infinity') AS left_time
                FROM (
                    SELECT DISTINCT m.id AS model_id, d.alias, d.manifest, d.model || '@' || d.alias AS resource
                    FROM d JOIN model m ON m.name = d.model
                ) f
                LEFT JOIN alias a ON a.model_id = f.model_id AND a.name = f.alias
                LEFT JOIN version held ON held.id = a.version_id
                WHERE held.manifest IS DISTINCT FROM f.manifest
                  AND EXISTS (SELECT FROM event e WHERE e.resource = f.resource)
            )
            SELECT {_COLUMNS},
                v.deleted_time IS NOT NULL OR m.deleted_time IS NOT NULL,
                followed.number,
                behind.since,
                extract(epoch FROM now() - behind.since),
                coalesce(v.record::jsonb ->> 'description', '') <> '',
                EXISTS (SELECT FROM metric_summary s WHERE s.log_id = v.metric_log_id)
            FROM d
            LEFT JOIN version v ON v.id = d.version_id
            LEFT JOIN model m ON m.id = v.model_id
            LEFT JOIN followed ON followed.model_id = m.id AND followed.alias = d.alias
                AND followed.manifest = d.manifest
            LEFT JOIN LATERAL (
                SELECT greatest(followed.left_time, d.since_time) AS since WHERE followed.model_id IS NOT NULL
            ) behind ON true
            ORDER BY d.reported_time, d.model, d.node
            """,
            (model, model, *_twice(readable), most),
        )
        return [_running(row) for row in rows]

    def registered(self, manifest: Digest, alias: str, readable: Collection[str] | None) -> tuple[str, int] | None:
        """See the port."""
        rows = self._database.rows(
            f"""
            SELECT m.name, v.number FROM version v JOIN model m ON m.id = v.model_id
            WHERE v.manifest = %s AND {below_any("m.name")}
            ORDER BY v.deleted_time IS NOT NULL OR m.deleted_time IS NOT NULL,
                EXISTS (SELECT FROM alias a WHERE a.version_id = v.id AND a.name = %s) DESC, v.id DESC
            LIMIT 1
            """,
            (manifest, *_twice(readable), alias),
        )
        return (rows[0][0], rows[0][1]) if rows else None


def _twice(readable: Collection[str] | None) -> tuple[list[str] | None, list[str] | None]:
    """As ``below_any`` takes it."""
    prefixes = None if readable is None else list(readable)
    return prefixes, prefixes


def _deployment(row: tuple[Any, ...]) -> Deployment:
    node, model, number, manifest, alias, stage, actor, since, reported, ttl_s, live = row
    return Deployment(
        node=node,
        model=model,
        ref="" if number is None else version_ref(model, number),
        manifest=bytes(manifest),
        alias=alias,
        stage=None if stage is None else Stage(stage),
        actor=actor,
        since_time=since,
        reported_time=reported,
        ttl_s=ttl_s,
        live=live,
    )


def _running(row: tuple[Any, ...]) -> Running:
    deleted, held, behind_since, behind_s, described, measured = row[11:]
    deployment = _deployment(row[:11])
    return Running(
        deployment=deployment,
        deleted=deleted,
        alias_ref="" if held is None else version_ref(deployment.model, held),
        behind_since=behind_since,
        behind_s=float(behind_s or 0),
        described=described,
        measured=measured,
    )
