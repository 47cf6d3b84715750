"""Sending what webhooks want: at least once, in order, each receiver at its own pace.

The journal is the queue, and a webhook a cursor in it. A turn of a webhook: claim it, read the next event that it
wants, post it, and move the cursor once the receiver has answered 2xx; again, for some time; give the claim back. A
server that dies at any point of that leaves a claim that ends by itself, and a cursor that stands before what may not
have arrived: the next turn, of whichever server, sends it again. No transaction is open while a receiver is waited for.

What fails is tried again after a time that doubles, which is in the webhook's row, so that a restart changes nothing.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.principals import SYSTEM
from weighbridge_server.domain.journal.feed import Feed
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.webhooks.ports import Answer, DueEvent, Sender
from weighbridge_server.domain.webhooks.post import post_event
from weighbridge_server.domain.webhooks.webhooks import pause

AT_ONCE = 8
"""Receivers that a server waits for at once, one request each."""
LEASE_S = 15.0
"""How long a claim is good for: longer than a request takes, and what a killed server's webhooks wait."""
TURN_S = 5.0
MOST_IN_A_TURN = 100
"""Then others have theirs."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
GIVE_UP_AFTER_S = 24 * 3600.0
LEAST_TRIES = 30
"""Before a webhook is given up: a server that was off for a day has not tried."""
MOST_LOGGED = 1000
_REACH = 5000
"""Events that a step looks at."""
_LAG = 200
"""So far a cursor may stay behind while nothing is wanted: to move a thousand of them at each event would be dear."""
_LOOK_AGAIN_S = 5.0

_log = logging.getLogger(__name__)


class Deliveries:
    """Runs in threads of its own. Any number of servers may do the same at once."""

    def __init__(self, catalog: Catalog, feed: Feed, sender: Sender) -> None:
        self._catalog = catalog
        self._sender = sender
        self._closing = threading.Event()
        self._woken = threading.Event()
        self._running = 0
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        feed.on_news(self._woken.set)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends at once: what was not answered is sent again by whoever comes next."""
        self._closing.set()
        self._woken.set()
        self._sender.end()
        self._thread.join()
        self._workers.shutdown()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                wait_s = self._begin_turns()
            except Exception:  # noqa: BLE001 - whatever it was, the next look comes
                _log.exception("webhooks could not be looked after; it is tried again")
                wait_s = _LOOK_AGAIN_S
            self._woken.wait(wait_s)
            self._woken.clear()

    def _begin_turns(self) -> float:
        """Begins what is due; how long until somebody has to look again."""
        with self._lock:
            free = AT_ONCE - self._running
        if not free:
            return _LOOK_AGAIN_S  # who ends wakes us
        claim = str(uuid.uuid4())
        with self._catalog.transaction() as tx:
            more = tx.webhooks.skip(_LAG, _REACH)
            claimed = tx.webhooks.claim(claim, LEASE_S, free, _REACH)
            wait_s = tx.webhooks.wait_s(_LOOK_AGAIN_S)
        for webhook_id in claimed:
            with self._lock:
                self._running += 1
            self._workers.submit(self._turn, webhook_id, claim)
        return 0.0 if more or len(claimed) == free else max(wait_s, 0.05)

    def _turn(self, webhook_id: int, claim: str) -> None:
        try:
            self._send(webhook_id, claim)
        except WeighbridgeError as fault:  # the database is away; the claim ends by itself
            _log.warning("webhook %d could not go on: %s", webhook_id, fault.message)
        except Exception:  # noqa: BLE001 - one webhook's trouble is not that of the others
            _log.exception("webhook %d could not go on", webhook_id)
        finally:
            with self._lock:
                self._running -= 1
            self._woken.set()

    def _send(self, webhook_id: int, claim: str) -> None:
        ends = time.monotonic() + TURN_S
        for _ in range(MOST_IN_A_TURN):
            with self._catalog.transaction() as tx:
                due = tx.webhooks.next_due(webhook_id, claim, LEASE_S, _REACH)
            if due is None:
                break
            delivery_id = str(uuid.uuid4())
            answer = post_event(self._sender, due.target, due.event, delivery_id)
            if self._closing.is_set() and answer.error:
                break  # it was cut off by us
            self._note(due, claim, delivery_id, answer)
            if answer.error or self._closing.is_set() or time.monotonic() > ends:
                break
        with self._catalog.transaction() as tx:
            tx.webhooks.trim(webhook_id, MOST_LOGGED)
            tx.webhooks.release(webhook_id, claim)

    def _note(self, due: DueEvent, claim: str, delivery_id: str, answer: Answer) -> None:
        webhook_id = due.target.webhook_id
        with self._catalog.transaction(SYSTEM) as tx:
            if tx.webhooks.get(webhook_id, lock=True) is None:
                return
            tx.webhooks.log(delivery_id, due.target, due.event.revision, due.failures + 1, answer)
            if not answer.error:
                tx.webhooks.delivered(due, claim)
                return
            failing_s = tx.webhooks.failed(due, claim, _pause_s(due.failures))
            if failing_s is not None and failing_s > GIVE_UP_AFTER_S and due.failures >= LEAST_TRIES:
                reason = f"paused by the server: nothing arrived for a day; the last try: {answer.error}"
                pause(tx, webhook_id, reason)
                _log.warning("webhook %d is %s", webhook_id, reason)


def _pause_s(failures: int) -> float:
    """Doubles with each failure, and differs from one webhook to another that failed with it."""
    longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 30))
    return longest_s * random.uniform(0.5, 1.0)
