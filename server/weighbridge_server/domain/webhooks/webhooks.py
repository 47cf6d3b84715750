"""Webhooks: making, changing and listing them. ``deliveries.py`` sends."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence

from weighbridge.core.errors import LimitExceeded, RevisionAhead, WebhookNotFound
from weighbridge.core.event_hash import GENESIS
from weighbridge.core.principals import SYSTEM
from weighbridge.core.values import Event
from weighbridge.core.webhook_check import (
    check_new_webhook,
    check_replay,
    check_webhook_id,
    check_webhook_update,
    shown_url,
)
from weighbridge.core.webhooks import TEST_ACTION, Webhook, WebhookCreated, WebhookDelivery
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_number, page_token
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.requests import once
from weighbridge_server.domain.times import from_epoch
from weighbridge_server.domain.webhooks.ports import Sender
from weighbridge_server.domain.webhooks.post import post_event

MOST_WEBHOOKS = 1000
"""Each is held against each new event."""
_SECRET_BYTES = 32


class Webhooks:
    """Where events are sent to."""

    def __init__(self, catalog: Catalog, sender: Sender) -> None:
        self._catalog = catalog
        self._sender = sender

    def create(
        self,
        actor: str,
        request_id: str,
        url: str,
        target: str,
        alias: str,
        actions: Sequence[str],
        description: str,
        secret: str,
    ) -> WebhookCreated:
        """Makes a webhook. Without a secret, one is made, which the answer has; else the answer has none.

        Raises:
            InvalidRequest, LimitExceeded, RequestIdReused.
        """
        check_new_webhook(url, target, alias, actions, description, secret or None)
        # Without the secret: not even a digest of it is kept elsewhere.
        payload = {
            "call": "CreateWebhook",
            "url": url,
            "target": target,
            "alias": alias,
            "actions": list(actions),
            "description": description,
            "secret_given": bool(secret),
        }
        with self._catalog.transaction(actor) as tx:

            def make() -> str:
                _check_room(tx)
                key = secret or secrets.token_urlsafe(_SECRET_BYTES)
                webhook_id = tx.webhooks.add(url, key, target, alias, list(dict.fromkeys(actions)), description)
                tx.record(Change("webhook.created", _resource(webhook_id), "", _state(_existing(tx, webhook_id))))
                return str(webhook_id)

            webhook = _existing(tx, int(once(tx, request_id, payload, make)))
            return WebhookCreated(webhook, "" if secret else tx.webhooks.secret(webhook.id))

    def update(
        self,
        actor: str,
        webhook_id: int,
        *,
        url: str | None,
        description: str | None,
        secret: str | None,
        paused: bool | None,
    ) -> Webhook:
        """Changes what is not None; what fails is tried again at once.

        Raises:
            InvalidRequest, WebhookNotFound.
        """
        check_webhook_id(webhook_id)
        check_webhook_update(url, description, secret, paused)
        with self._catalog.transaction(actor) as tx:
            before = _existing(tx, webhook_id, lock=True)
            given = {"url": url, "description": description, "secret": secret}
            texts = {name: text for name, text in given.items() if text is not None}
            if texts:
                tx.webhooks.update(webhook_id, texts)
                after = _existing(tx, webhook_id)
                renewed = {"secret_changed": True} if secret is not None else {}
                if renewed or url is not None or _state(after) != _state(before):
                    tx.record(
                        Change("webhook.updated", _resource(webhook_id), _state(before), _state(after, **renewed))
                    )
            if paused is not None and paused != before.paused:
                pause(tx, webhook_id, f"paused by {actor}" if paused else "")
            elif paused is False:
                tx.webhooks.update(webhook_id, {})  # it is on, and whoever says so wants it tried now
            return _existing(tx, webhook_id)

    def delete(self, actor: str, request_id: str, webhook_id: int) -> None:
        """Removes a webhook, with its secret and its log.

        Raises:
            InvalidRequest, WebhookNotFound, RequestIdReused.
        """
        check_webhook_id(webhook_id)
        payload = {"call": "DeleteWebhook", "id": webhook_id}
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: _delete(tx, webhook_id))

    def replay(self, actor: str, request_id: str, webhook_id: int, from_revision: int) -> Webhook:
        """Has a webhook send all that it wants from a revision on.

        Raises:
            InvalidRequest, WebhookNotFound, RevisionAhead, RequestIdReused.
        """
        check_replay(webhook_id, from_revision)
        payload = {"call": "ReplayWebhook", "id": webhook_id, "from_revision": from_revision}
        with self._catalog.transaction(actor) as tx:
            once(tx, request_id, payload, lambda: _replay(tx, webhook_id, from_revision))
            return _existing(tx, webhook_id)

    def test(self, webhook_id: int) -> WebhookDelivery:
        """Posts a document that is no event; what came of it.

        Raises:
            InvalidRequest, WebhookNotFound.
        """
        check_webhook_id(webhook_id)
        with self._catalog.transaction() as tx:
            target = tx.webhooks.target(webhook_id)
        if target is None:
            raise _not_found(webhook_id)
        now = from_epoch(target.time_s)
        event = Event(0, now, SYSTEM, TEST_ACTION, _resource(webhook_id), "", "", GENESIS, GENESIS)
        delivery_id = str(uuid.uuid4())
        answer = post_event(self._sender, target, event, delivery_id)
        with self._catalog.transaction() as tx:
            logged = tx.webhooks.log(delivery_id, target, event.revision, 1, answer)
        if logged is None:
            raise _not_found(webhook_id)
        return logged

    def deliveries(self, webhook_id: int, size: int, token: str) -> tuple[list[WebhookDelivery], str]:
        """One page of a log, the newest first, and the token of the next (empty: none).

        Raises:
            InvalidRequest, WebhookNotFound.
        """
        check_webhook_id(webhook_id)
        size = size or DEFAULT_SIZE
        before = page_number(token)
        with self._catalog.transaction() as tx:
            _existing(tx, webhook_id)
            deliveries, last = tx.webhooks.deliveries(webhook_id, before, size)
        return deliveries, page_token(str(last)) if len(deliveries) == size else ""

    def list(self, size: int, token: str) -> tuple[list[Webhook], str]:
        """One page in order of id, and the token of the next (empty: none).

        Raises:
            InvalidRequest.
        """
        size = size or DEFAULT_SIZE
        after = page_number(token)
        with self._catalog.transaction() as tx:
            found = tx.webhooks.page(after, size + 1)
        webhooks = found[:size]
        return webhooks, page_token(str(webhooks[-1].id)) if len(found) > size else ""


def pause(tx: Transaction, webhook_id: int, reason: str) -> None:
    """Pauses a webhook, whose row is locked, for a reason; without one, it goes on."""
    before = _existing(tx, webhook_id)
    tx.webhooks.update(webhook_id, {"paused_reason": reason})
    action = "webhook.paused" if reason else "webhook.resumed"
    tx.record(Change(action, _resource(webhook_id), _state(before), _state(_existing(tx, webhook_id))))


def _check_room(tx: Transaction) -> None:
    if tx.webhooks.count() >= MOST_WEBHOOKS:
        raise LimitExceeded(
            f"{MOST_WEBHOOKS} webhooks are there, and no more can be; delete one, or have one of a shorter prefix",
            details={"limit": str(MOST_WEBHOOKS), "actual": str(MOST_WEBHOOKS + 1)},
        )


def _delete(tx: Transaction, webhook_id: int) -> str:
    before = _existing(tx, webhook_id, lock=True)
    tx.webhooks.delete(webhook_id)
    tx.record(Change("webhook.deleted", _resource(webhook_id), _state(before), ""))
    return ""


def _replay(tx: Transaction, webhook_id: int, from_revision: int) -> str:
    before = _existing(tx, webhook_id, lock=True)
    newest, _ = tx.events.head()
    if from_revision > newest + 1:
        raise RevisionAhead(
            f"revision {from_revision} is ahead of the journal, whose newest is {newest}",
            details={"newest": str(newest)},
        )
    tx.webhooks.move(webhook_id, from_revision - 1)
    states = (_state(each, position=each.position) for each in (before, _existing(tx, webhook_id)))
    tx.record(Change("webhook.replayed", _resource(webhook_id), *states))
    return ""


def _existing(tx: Transaction, webhook_id: int, *, lock: bool = False) -> Webhook:
    webhook = tx.webhooks.get(webhook_id, lock=lock)
    if webhook is None:
        raise _not_found(webhook_id)
    return webhook


def _not_found(webhook_id: int) -> WebhookNotFound:
    return WebhookNotFound(
        f"there is no webhook {webhook_id}; 'weighbridge webhook list' lists them", details={"id": str(webhook_id)}
    )


def _resource(webhook_id: int) -> str:
    return f"webhook/{webhook_id}"


def _state(webhook: Webhook, **more: object) -> str:
    """What the journal says of a webhook: never its secret, and no query of its URL."""
    return canonical_json(
        {
            "url": shown_url(webhook.url),
            "target": webhook.target,
            "alias": webhook.alias,
            "actions": list(webhook.actions),
            "description": webhook.description,
            "paused_reason": webhook.paused_reason,
            **more,
        }
    )
