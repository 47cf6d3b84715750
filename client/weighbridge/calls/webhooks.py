"""Webhooks: where the journal's events are sent to."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.refs import ALL_NAMES
from weighbridge.core.webhook_check import (
    check_new_webhook,
    check_replay,
    check_webhook_id,
    check_webhook_update,
)
from weighbridge.core.webhooks import Webhook, WebhookCreated, WebhookDelivery
from weighbridge.v1 import webhooks_pb2
from weighbridge.wire import convert


class WebhookCalls(Connected):
    """See ``Client``."""

    def create_webhook(
        self,
        url: str,
        target: str = ALL_NAMES,
        *,
        alias: str = "",
        actions: Sequence[str] = (),
        description: str = "",
        secret: str | None = None,
    ) -> WebhookCreated:
        """Has events posted to a URL from now on: each at least once, in order, signed; see ``verify_webhook``.

        Args:
            url: ``https`` or ``http``, without a user. Lists and the journal do not show what stands behind its ``?``.
            target: whose events: a model's name, a prefix of names in whole segments, or ``*``, which has those of no
                model too.
            alias: only what happens to this alias.
            actions: only these, such as ``alias.promoted``, or ``alias.`` for all that begin so.
            description: what it is for, at most 512 characters.
            secret: what signs: 16 to 256 printable characters of ASCII. By default the server makes one.

        Returns:
            The webhook and its secret, which no other call returns.

        Raises:
            InvalidRequest (with everything that is wrong), LimitExceeded.
        """
        check_new_webhook(url, target, alias, actions, description, secret)
        request = webhooks_pb2.CreateWebhookRequest(
            request_id=uuid.uuid4().hex,
            url=url,
            target=target,
            alias=alias,
            actions=actions,
            description=description,
            secret=secret or "",
        )
        answer = self._connection.call(self._connection.webhooks.CreateWebhook, request)
        return WebhookCreated(convert.webhook_value(answer.webhook), secret or answer.secret)

    def webhooks(self) -> Iterator[Webhook]:
        """All webhooks in order of id."""

        def page(token: str) -> tuple[Sequence[webhooks_pb2.Webhook], str]:
            request = webhooks_pb2.ListWebhooksRequest(page_size=PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.webhooks.ListWebhooks, request)
            return answer.webhooks, answer.next_page_token

        return map(convert.webhook_value, self._pages("webhooks", page))

    def update_webhook(
        self,
        webhook_id: int,
        *,
        url: str | None = None,
        description: str | None = None,
        secret: str | None = None,
        paused: bool | None = None,
    ) -> Webhook:
        """Changes what is given of a webhook; what fails is tried again at once.

        A paused one sends nothing and misses nothing: ``paused=False`` has it go on where it was.

        Raises:
            WebhookNotFound, InvalidRequest.
        """
        check_webhook_id(webhook_id)
        check_webhook_update(url, description, secret, paused)
        request = webhooks_pb2.UpdateWebhookRequest(
            id=webhook_id, url=url, description=description, secret=secret, paused=paused
        )
        return convert.webhook_value(self._connection.call(self._connection.webhooks.UpdateWebhook, request))

    def delete_webhook(self, webhook_id: int) -> None:
        """Removes a webhook, its secret and its log.

        Raises:
            WebhookNotFound, InvalidRequest.
        """
        request = webhooks_pb2.DeleteWebhookRequest(request_id=uuid.uuid4().hex, id=check_webhook_id(webhook_id))
        self._connection.call(self._connection.webhooks.DeleteWebhook, request)

    def replay_webhook(self, webhook_id: int, from_revision: int) -> Webhook:
        """Has a webhook send all that it wants from a revision on, again or for the first time.

        Events have the revisions that they had, so that a receiver can drop those that it knows.

        Raises:
            RevisionAhead: the journal has not come so far.
            WebhookNotFound, InvalidRequest.
        """
        check_replay(webhook_id, from_revision)
        request = webhooks_pb2.ReplayWebhookRequest(
            request_id=uuid.uuid4().hex, id=webhook_id, from_revision=from_revision
        )
        return convert.webhook_value(self._connection.call(self._connection.webhooks.ReplayWebhook, request))

    def test_webhook(self, webhook_id: int) -> WebhookDelivery:
        """Has the server post a document that is no event, with revision 0; what came of it, within some 10 s.

        Raises:
            WebhookNotFound, InvalidRequest.
        """
        request = webhooks_pb2.TestWebhookRequest(id=check_webhook_id(webhook_id))
        # Not tried again: the receiver would have it twice.
        answer = self._connection.call(self._connection.webhooks.TestWebhook, request, tried_again=False)
        return convert.delivery_value(answer)

    def webhook_deliveries(self, webhook_id: int) -> Iterator[WebhookDelivery]:
        """Each try of a webhook, the newest first: the newest 1,000 or so are kept.

        Raises:
            WebhookNotFound, InvalidRequest.
        """
        check_webhook_id(webhook_id)

        def page(token: str) -> tuple[Sequence[webhooks_pb2.WebhookDelivery], str]:
            request = webhooks_pb2.ListWebhookDeliveriesRequest(id=webhook_id, page_size=PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.webhooks.ListWebhookDeliveries, request)
            return answer.deliveries, answer.next_page_token

        return map(convert.delivery_value, self._pages("deliveries", page))
