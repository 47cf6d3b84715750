"""The acks of one upload stream, on their way from the intake and the sealers to the stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from weighbridge.core.digest import Digest
from weighbridge.core.errors import DeadlineExceeded
from weighbridge.core.limits import DIGESTS_PER_MESSAGE
from weighbridge.core.store import Ack, Held

_RETRY_AFTER_S = 0.1
"""Told to a client whose source was slow, which is no reason to give up."""

_MOST_WAITING = 1024
"""The intake pauses while this many acks are unread: a client that never reads cannot grow the server."""

_TOGETHER = 4
"""Verified chunks that are told in one message: a third of the credit of chunks that do not compress."""

_GATHER_S = 0.01
"""How long the first of them waits for the others."""


class AckQueue:
    """Written by the stream's intake and by whoever seals a pack; iterated by the stream.

    Iteration ends when the intake has finished and every expected durable ack has come, or raises the
    failure.
    """

    def __init__(self, stall_s: float) -> None:
        """``stall_s``: iteration ends with an error when no ack comes for so long."""
        self._stall_s = stall_s
        self._changed = threading.Condition()
        self._verified: list[Digest] = []
        self._durable: list[Digest] = []
        self._not_durable = 0
        self._finished = False
        self._failure: BaseException | None = None
        self.abandoned = False

    def expect_durable(self) -> None:
        """One more chunk is on its way to a pack."""
        with self._changed:
            self._not_durable += 1

    def verified(self, digest: Digest) -> None:
        """A chunk is what it says. Waits until there is room for an ack, or nobody reads any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._verified) < _MOST_WAITING or self.abandoned)
            self._verified.append(digest)
            if len(self._verified) in (1, _TOGETHER):
                self._changed.notify_all()

    def durable(self, digests: Sequence[Digest]) -> None:
        """Chunks became durable. Never waits: a sealer serves many streams."""
        with self._changed:
            self._not_durable -= len(digests)
            self._durable += digests
            self._changed.notify_all()

    def finish(self) -> None:
        """The intake has taken its last chunk."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def fail(self, failure: BaseException) -> None:
        """Ends the stream with an error, after the acks that came before it."""
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()

    def abandon(self) -> None:
        """The stream has ended; nobody reads on."""
        with self._changed:
            self.abandoned = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Ack]:
        while True:
            with self._changed:
                self._changed.wait_for(self._news, timeout=self._stall_s)
                self._changed.wait_for(self._gathered, timeout=_GATHER_S)
                if self._verified:  # a chunk's durable ack never comes before this one
                    ack = _first_of(Held.VERIFIED, self._verified)
                    self._changed.notify_all()
                elif self._durable:
                    ack = _first_of(Held.DURABLE, self._durable)
                elif self._failure is not None:
                    raise self._failure
                elif self._done():
                    return
                else:
                    raise DeadlineExceeded(
                        f"nothing was sent for {self._stall_s:g} s; go on in a new stream", retry_after_s=_RETRY_AFTER_S
                    )
            yield ack

    def _news(self) -> bool:
        return bool(self._verified or self._durable or self._failure or self._done())

    def _gathered(self) -> bool:
        waiting = len(self._verified) if not self._finished else 0  # no other will come to join them
        return not 0 < waiting < _TOGETHER or bool(self._durable or self._failure)

    def _done(self) -> bool:
        return self._finished and self._not_durable == 0


def _first_of(held: Held, digests: list[Digest]) -> Ack:
    """An ack of as many as one message may name; they are taken out."""
    ack = Ack(held, tuple(digests[:DIGESTS_PER_MESSAGE]))
    del digests[:DIGESTS_PER_MESSAGE]
    return ack
