"""What webhooks have to send, read from the journal: nothing is queued beside it.

A webhook that is claimed is worked on by one server; the claim ends at a time in its row, by the database's clock, and
no connection is held while a receiver is waited for. Each step is bounded: it looks at the next few thousand events
behind a cursor, and cursors that nothing waits for are moved on.
"""

from __future__ import annotations

from typing import Any

from weighbridge.core.values import Event
from weighbridge_server.domain.webhooks.ports import DueEvent, Target
from weighbridge_server.storage.database import PooledDatabase

# Whether webhook `w` wants event `e`.
_WANTED = """
    (w.target = '*' OR e.resource = w.target OR (
        starts_with(e.resource, w.target) AND substr(e.resource, length(w.target) + 1, 1) IN ('.', ':', '@', '#')))
    AND (w.alias = '' OR right(e.resource, length(w.alias) + 1) = '@' || w.alias)
    AND (w.actions = '' OR EXISTS (
        SELECT 1 FROM unnest(string_to_array(w.actions, ' ')) AS action
        WHERE e.action = action OR (right(action, 1) = '.' AND starts_with(e.action, action))))
"""
_NEXT = f"e.revision > w.position AND e.revision <= w.position + %(reach)s AND {_WANTED}"
_FREE = "w.paused_reason = '' AND coalesce(w.claimed_until_time < clock_timestamp(), true)"
_SECONDS = "make_interval(secs => %(lease_s)s)"
_EVENT = "e.revision, e.time, e.actor, e.action, e.resource, e.before, e.after, e.previous_hash, e.hash"


class WebhookQueue:
    """The part of ``WebhookRows`` that sends."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def skip(self, lag: int, reach: int) -> bool:
        """See the port."""
        rows = self._database.rows(
            f"""
            UPDATE webhook w SET position = least(w.position + %(reach)s, h.revision)
            FROM journal_head h
            WHERE h.id = 1 AND w.position <= h.revision - %(lag)s AND {_FREE}
                AND NOT EXISTS (SELECT 1 FROM event e WHERE {_NEXT})
            RETURNING w.position < h.revision
            """,
            {"lag": lag, "reach": reach},
        )
        return any(behind for (behind,) in rows)

    def claim(self, claim: str, lease_s: float, most: int, reach: int) -> list[int]:
        """See the port."""
        rows = self._database.rows(
            f"""
            UPDATE webhook SET claim = %(claim)s, claimed_until_time = clock_timestamp() + {_SECONDS}
            WHERE id IN (
                SELECT w.id FROM webhook w
                WHERE {_FREE} AND coalesce(w.next_try_time <= clock_timestamp(), true)
                    AND EXISTS (SELECT 1 FROM event e WHERE {_NEXT})
                ORDER BY (
                    SELECT max(d.id) FROM webhook_delivery d WHERE d.webhook_id = w.id
                ) NULLS FIRST LIMIT %(most)s
                FOR UPDATE SKIP LOCKED
            )
            RETURNING id
            """,
            {"claim": claim, "lease_s": lease_s, "most": most, "reach": reach},
        )
        return [webhook_id for (webhook_id,) in rows]

    def wait_s(self, most_s: float) -> float:
        """See the port."""
        ((wait_s,),) = self._database.rows(
            """
            SELECT extract(epoch FROM min(greatest(w.next_try_time, w.claimed_until_time)) - clock_timestamp())
            FROM webhook w WHERE w.paused_reason = ''
                -- What has been due for longer was claimed just now, or has nothing to send.
                AND greatest(w.next_try_time, w.claimed_until_time) > clock_timestamp() - interval '1 s'
            """
        )
        return most_s if wait_s is None else min(most_s, max(0.0, float(wait_s)))

    def next_due(self, webhook_id: int, claim: str, lease_s: float, reach: int) -> DueEvent | None:
        """See the port."""
        rows = self._database.rows(
            f"""
            UPDATE webhook w SET claimed_until_time = clock_timestamp() + {_SECONDS}
            WHERE w.id = %(id)s AND w.claim = %(claim)s AND w.paused_reason = ''
            RETURNING w.url, w.secret, floor(extract(epoch FROM clock_timestamp()))::bigint, w.position, w.failures
            """,
            {"id": webhook_id, "claim": claim, "lease_s": lease_s},
        )
        if not rows:
            return None
        ((url, secret, time_s, position, failures),) = rows
        events = self._database.rows(
            f"SELECT {_EVENT} FROM webhook w, event e WHERE w.id = %(id)s AND {_NEXT} ORDER BY e.revision LIMIT 1",
            {"id": webhook_id, "reach": reach},
        )
        if not events:
            return None
        return DueEvent(Target(webhook_id, url, secret, time_s), _event(events[0]), position, failures)

    def delivered(self, due: DueEvent, claim: str) -> None:
        """See the port."""
        self._database.rows(
            """
            UPDATE webhook SET position = %s, failures = 0, failing_since_time = NULL, next_try_time = NULL
            WHERE id = %s AND claim = %s AND position = %s
            """,
            (due.event.revision, due.target.webhook_id, claim, due.position),
        )

    def failed(self, due: DueEvent, claim: str, again_in_s: float) -> float | None:
        """See the port."""
        rows = self._database.rows(
            """
            UPDATE webhook SET failures = failures + 1,
                failing_since_time = coalesce(failing_since_time, clock_timestamp()),
                next_try_time = clock_timestamp() + make_interval(secs => %s)
            WHERE id = %s AND claim = %s AND position = %s AND failures = %s
            RETURNING extract(epoch FROM clock_timestamp() - failing_since_time)
            """,
            (again_in_s, due.target.webhook_id, claim, due.position, due.failures),
        )
        return float(rows[0][0]) if rows else None

    def release(self, webhook_id: int, claim: str) -> None:
        """See the port."""
        self._database.rows(
            "UPDATE webhook SET claim = NULL, claimed_until_time = NULL WHERE id = %s AND claim = %s",
            (webhook_id, claim),
        )


def _event(row: tuple[Any, ...]) -> Event:
    revision, time, actor, action, resource, before, after, previous_hash, hash_ = row
    return Event(revision, time, actor, action, resource, before, after, bytes(previous_hash), bytes(hash_))
