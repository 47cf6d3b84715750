"""Rows of webhooks, as those see them who make and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weighbridge.core.webhook_check import shown_url
from weighbridge.core.webhooks import Webhook, WebhookDelivery
from weighbridge_server.domain.webhooks.ports import Answer, Target
from weighbridge_server.storage.database import PooledDatabase
from weighbridge_server.storage.webhook_queue import WebhookQueue

_AFTER_ALL = 2**63 - 1
_LOCK = 0x776562686F6F6B  # "webhook"
_NOW_S = "floor(extract(epoch FROM clock_timestamp()))::bigint"
_DELIVERY = "delivery_id::text, webhook_id, revision, attempt, time, http_status, error, duration_ms"
_WEBHOOK = f"""
    w.id, w.url, w.target, w.alias, w.actions, w.description, w.actor, w.created_time, w.position, w.paused_reason,
    w.failures, w.failing_since_time, w.next_try_time, d.*
    FROM webhook w LEFT JOIN LATERAL (
        SELECT {_DELIVERY} FROM webhook_delivery WHERE webhook_id = w.id AND revision > 0 ORDER BY id DESC LIMIT 1
    ) d ON true
"""


class WebhookRows(WebhookQueue):
    """Implements the domain's ``WebhookRows`` within one transaction."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        super().__init__(database)
        self._actor = actor

    def add(self, url: str, secret: str, target: str, alias: str, actions: Sequence[str], description: str) -> int:
        """See the port."""
        ((webhook_id,),) = self._database.rows(
            """
            INSERT INTO webhook (url, secret, target, alias, actions, description, actor, position)
            SELECT %s, %s, %s, %s, %s, %s, %s, revision FROM journal_head WHERE id = 1
            RETURNING id
            """,
            (url, secret, target, alias, " ".join(actions), description, self._actor),
        )
        return int(webhook_id)

    def count(self) -> int:
        """See the port."""
        self._database.rows("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        ((count,),) = self._database.rows("SELECT count(*) FROM webhook")
        return int(count)

    def get(self, webhook_id: int, *, lock: bool = False) -> Webhook | None:
        """See the port."""
        strength = "FOR UPDATE OF w" if lock else ""
        rows = self._database.rows(f"SELECT {_WEBHOOK} WHERE w.id = %s {strength}", (webhook_id,))
        return _webhook(rows[0]) if rows else None

    def secret(self, webhook_id: int) -> str:
        """See the port."""
        ((secret,),) = self._database.rows("SELECT secret FROM webhook WHERE id = %s", (webhook_id,))
        return str(secret)

    def page(self, after: int, size: int) -> list[Webhook]:
        """See the port."""
        rows = self._database.rows(f"SELECT {_WEBHOOK} WHERE w.id > %s ORDER BY w.id LIMIT %s", (after, size))
        return [_webhook(row) for row in rows]

    def update(self, webhook_id: int, texts: Mapping[str, str]) -> None:
        """See the port."""
        set_ = "".join(f"{column} = %s, " for column in texts)
        self._database.rows(
            f"""
            UPDATE webhook SET {set_} failures = 0, failing_since_time = NULL, next_try_time = NULL WHERE id = %s
            """,
            (*texts.values(), webhook_id),
        )

    def move(self, webhook_id: int, position: int) -> None:
        """See the port."""
        self._database.rows(
            """
            UPDATE webhook SET position = %s, failures = 0, failing_since_time = NULL, next_try_time = NULL
            WHERE id = %s
            """,
            (position, webhook_id),
        )

    def delete(self, webhook_id: int) -> None:
        """See the port."""
        self._database.rows("DELETE FROM webhook WHERE id = %s", (webhook_id,))

    def target(self, webhook_id: int) -> Target | None:
        """See the port."""
        rows = self._database.rows(f"SELECT id, url, secret, {_NOW_S} FROM webhook WHERE id = %s", (webhook_id,))
        return Target(*rows[0]) if rows else None

    def deliveries(self, webhook_id: int, before: int, size: int) -> tuple[list[WebhookDelivery], int]:
        """See the port."""
        rows = self._database.rows(
            f"SELECT {_DELIVERY}, id FROM webhook_delivery WHERE webhook_id = %s AND id < %s ORDER BY id DESC LIMIT %s",
            (webhook_id, before or _AFTER_ALL, size),
        )
        return [WebhookDelivery(*row[:-1]) for row in rows], rows[-1][-1] if rows else 0

    def log(
        self, delivery_id: str, target: Target, revision: int, attempt: int, answer: Answer
    ) -> WebhookDelivery | None:
        """See the port."""
        rows = self._database.rows(
            f"""
            INSERT INTO webhook_delivery (webhook_id, delivery_id, revision, attempt, http_status, error, duration_ms)
            SELECT id, %s::uuid, %s, %s, %s::integer, %s, %s FROM webhook WHERE id = %s FOR KEY SHARE
            RETURNING {_DELIVERY}
            """,
            (delivery_id, revision, attempt, answer.status, answer.error, answer.duration_ms, target.webhook_id),
        )
        return WebhookDelivery(*rows[0]) if rows else None

    def trim(self, webhook_id: int, most: int) -> None:
        """See the port."""
        self._database.rows(
            """
            DELETE FROM webhook_delivery WHERE webhook_id = %s AND id <= (
                SELECT id FROM webhook_delivery WHERE webhook_id = %s ORDER BY id DESC OFFSET %s LIMIT 1
            )
            """,
            (webhook_id, webhook_id, most),
        )


def _webhook(row: Sequence[Any]) -> Webhook:
    url, target, alias, actions, description, actor, created, position, paused, failures, since, again = row[1:13]
    return Webhook(
        id=row[0],
        url=shown_url(url),
        target=target,
        alias=alias,
        actions=tuple(actions.split()),
        description=description,
        actor=actor,
        created_time=created,
        position=position,
        paused=bool(paused),
        paused_reason=paused,
        failures=failures,
        failing_since_time=since,
        next_try_time=None if paused else again,
        last_delivery=None if row[13] is None else WebhookDelivery(*row[13:]),
    )
