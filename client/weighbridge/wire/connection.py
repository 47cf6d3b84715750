"""One client's connection to one server: the stubs, and how every call is made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc

from weighbridge.core.errors import Cancelled, DeadlineExceeded, Unavailable, UsageError, WeighbridgeError
from weighbridge.forked import keep_to_this_process
from weighbridge.given_up import GivenUp
from weighbridge.v1 import (
    admin_pb2_grpc,
    deployments_pb2_grpc,
    journal_pb2_grpc,
    lifecycle_pb2_grpc,
    models_pb2_grpc,
    transfer_pb2_grpc,
    versions_pb2_grpc,
    webhooks_pb2_grpc,
)
from weighbridge.wire.channel import UNARY_DEADLINE_S, Lane, call_metadata, open_channel, translated
from weighbridge.wire.opening import opened
from weighbridge.wire.retry import Patience

Response = TypeVar("Response")

RETRY_LIMIT_S = 60.0
STALL_TIMEOUT_S = 60.0

LANES = 2
"""Connections that carry chunks at once: with one, either side waits for the other; more than two gain nothing."""


class Connection:
    """Makes calls with the caller's identity, a deadline, and errors raised as their own classes.

    Safe to use from several threads, and in the process that made it: in one that is forked from that, as by
    ``multiprocessing``, every call raises UsageError.
    """

    def __init__(
        self,
        address: str,
        token: str | None,
        *,
        retry_limit_s: float = RETRY_LIMIT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        """A connection that opens on its first call.

        Args:
            address: ``HOST:PORT``.
            token: what proves the caller, or none.
            retry_limit_s: how long work that stands still is tried again.
            stall_timeout_s: how long a stream may owe something and move nothing before it is ended.
        """
        self.address = address
        self._token = token
        self._channel = open_channel(address)
        self._lanes = [Lane(self._channel)]
        self._lane_channels: list[grpc.Channel] = []
        self._opening = threading.RLock()  # a handler of a signal may close what its own thread is opening
        self._metadata = call_metadata(token)
        self._retry_limit_s = retry_limit_s
        self._stall_timeout_s = stall_timeout_s
        self._reached = False
        self._closed = threading.Event()
        self._elsewhere = False
        self.admin = admin_pb2_grpc.AdminServiceStub(self._channel)
        self.models = models_pb2_grpc.ModelServiceStub(self._channel)
        self.versions = versions_pb2_grpc.VersionServiceStub(self._channel)
        self.transfer = transfer_pb2_grpc.TransferServiceStub(self._channel)
        self.lifecycle = lifecycle_pb2_grpc.LifecycleServiceStub(self._channel)
        self.deployments = deployments_pb2_grpc.DeploymentServiceStub(self._channel)
        self.journal = journal_pb2_grpc.JournalServiceStub(self._channel)
        self.webhooks = webhooks_pb2_grpc.WebhookServiceStub(self._channel)
        keep_to_this_process(self)

    def forked(self) -> None:
        """See ``OfOneProcess``. What gRPC makes of a call on a channel of the parent depends on what its threads did
        there: it goes through, or waits for ever."""
        self._closed, self._opening = threading.Event(), threading.RLock()
        self._closed.set()
        self._elsewhere = True

    def another(self) -> Connection:
        """One to the same server, with the same identity and limits, that is closed by itself.

        Raises:
            UsageError: this one is closed.
        """
        with self._unclosed():
            return Connection(
                self.address, self._token, retry_limit_s=self._retry_limit_s, stall_timeout_s=self._stall_timeout_s
            )

    def close(self) -> None:
        """Ends every call and closes the channels. Later calls raise UsageError."""
        if self._elsewhere:
            return  # they are the parent's
        self._closed.set()
        with self._opening:  # a lane that opens meanwhile would be left open
            channels = (self._channel, *self._lane_channels)
        for channel in channels:
            channel.close()

    def lane(self, number: int) -> Lane:
        """A way for chunks; each number has a connection of its own, which opens on its first call.

        Raises:
            UsageError: the connection is closed.
        """
        with self._opening, self._unclosed():
            while number >= len(self._lanes):
                self._lane_channels.append(open_channel(self.address))
                self._lanes.append(Lane(self._lane_channels[-1]))
            return self._lanes[number]

    def patience(self, given_up: threading.Event | None = None, *, limit_s: float | None = None) -> Patience:
        """For work that is tried again as a whole; ``given_up`` ends it early. ``limit_s``: in place of the usual.

        A server that was never reached is most likely not there: a person learns that at once.
        """
        usual_s = self._retry_limit_s if limit_s is None else limit_s
        limit_s = usual_s if self._reached else 0.0
        return Patience(limit_s, *([given_up] if given_up else []), self._closed)

    @contextmanager
    def _unclosed(self) -> Iterator[None]:
        """Around the beginning of each call, and around all of one that has one answer.

        What gRPC says of a closed channel is a ValueError, and no status. A call that the closing cuts off looks as if
        the server had ended it.
        """
        if self._closed.is_set():
            raise self._unusable()
        try:
            yield
        except (ValueError, Unavailable) as fault:
            if self._closed.is_set():
                raise self._unusable() from fault
            raise

    def _unusable(self) -> UsageError:
        if self._elsewhere:
            return UsageError(
                "a client belongs to the process that made it, and this process was forked from that one, which gRPC's "
                "connections do not survive: connect in each process, or have multiprocessing spawn in place of fork"
            )
        return UsageError("the client is closed; connect again")

    def call(
        self,
        method: Callable[..., Response],
        request: Any,
        *,
        tried_again: bool = True,
        given_up: GivenUp | None = None,
        limit_s: float = UNARY_DEADLINE_S,
    ) -> Response:
        """One answer to one request, within ``limit_s`` a try; tried again while the server cannot be reached.

        Every call of the API may be made twice: what creates something carries a request id.

        Raises:
            UsageError: the connection is closed.
            WeighbridgeError: what the status stands for.
        """
        patience = self.patience(given_up) if tried_again else Patience(0.0, self._closed)
        return patience.run(lambda: self._call_once(method, request, given_up, limit_s))

    def _call_once(
        self, method: Callable[..., Response], request: Any, given_up: GivenUp | None, limit_s: float
    ) -> Response:
        try:
            with self._unclosed(), translated(self.address):
                if given_up is None:
                    response = method(request, timeout=limit_s, metadata=self._metadata)
                else:
                    response = self._call_until(given_up, method, request, limit_s)
        except WeighbridgeError as error:
            self._reached = self._reached or not isinstance(error, Unavailable)
            raise
        self._reached = True
        return response

    def _call_until(self, given_up: GivenUp, method: Any, request: Any, limit_s: float) -> Any:
        call = opened(lambda: method.future(request, timeout=limit_s, metadata=self._metadata))
        try:
            with given_up.ending(call.cancel):
                return call.result()
        except grpc.FutureCancelledError as fault:
            raise Cancelled(f"the call to {self.address} was ended here") from fault
        finally:
            call.cancel()

    def send(
        self,
        method: Callable[..., Response],
        requests: Callable[[], Iterable[Any]],
        given_up: GivenUp | None = None,
    ) -> Response:
        """One answer to a stream of requests, which ``requests`` makes anew for each try.

        Raises:
            UsageError: the connection is closed.
            WeighbridgeError: what the status stands for.
        """
        patience = self.patience(given_up)
        response: Response = patience.run(lambda: self._send_once(method, requests(), given_up or GivenUp()))
        return response

    def _send_once(self, method: Any, requests: Iterable[Any], given_up: GivenUp) -> Any:
        moved = time.monotonic()

        def taken() -> Iterator[Any]:
            nonlocal moved
            for request in requests:
                moved = time.monotonic()
                yield request
            moved = time.monotonic()

        with self._unclosed():
            call = opened(lambda: method.future(taken(), metadata=self._metadata))
            with given_up.ending(call.cancel), self.watched(call, lambda: moved):
                return call.result()

    def open(self, method: Callable[..., Any], request: Any) -> Any:
        """A call that streams answers; iterate it within ``watched``, or through ``stream``.

        Raises:
            UsageError: the connection is closed.
        """
        with self._unclosed():
            return opened(lambda: method(request, metadata=self._metadata))

    def stream(
        self, method: Callable[..., Any], request: Any, given_up: GivenUp | None = None
    ) -> Generator[Any, None, None]:
        """A stream of answers. Leaving the iteration early ends the call. Not tried again: the caller is.

        Raises:
            UsageError: the connection is closed.
            DeadlineExceeded: the next answer, while somebody waited for it, did not come in time.
            WeighbridgeError: what the status stands for.
        """
        call = self.open(method, request)
        waiting_since: float | None = None
        try:
            with (given_up or GivenUp()).ending(call.cancel), self.watched(call, lambda: waiting_since):
                while True:
                    waiting_since = time.monotonic()
                    response = next(call, None)
                    waiting_since = None
                    if response is None:
                        return
                    self._reached = True
                    yield response
        finally:
            call.cancel()

    @contextmanager
    def watched(self, call: Any, owing_since: Callable[[], float | None]) -> Iterator[None]:
        """Wait for what ``call`` sends inside the block: it ends a stream that stands still, and raises errors.

        ``owing_since`` is asked, in another thread, since when (``time.monotonic``) the server has owed
        something and moved nothing; None while it owes nothing.

        Raises:
            DeadlineExceeded: that was ``stall_timeout_s`` ago.
            WeighbridgeError: what the status stands for.
        """
        ended, stalled = threading.Event(), threading.Event()

        def watch() -> None:
            wait_s = self._stall_timeout_s
            # No wait is longer than a debt that begins during it may become: none is noticed late.
            while not ended.wait(wait_s):
                since = owing_since()
                wait_s = self._stall_timeout_s - (0.0 if since is None else time.monotonic() - since)
                if wait_s <= 0:
                    stalled.set()
                    call.cancel()
                    return

        try:
            threading.Thread(target=watch, name="weighbridge-stall", daemon=True).start()
            with translated(self.address):
                yield
        except (Cancelled, grpc.FutureCancelledError) as fault:
            if stalled.is_set():
                raise DeadlineExceeded(
                    f"{self.address} moved nothing for {self._stall_timeout_s:g} s on a stream that it owes more; "
                    "the stream was ended"
                ) from fault
            if isinstance(fault, Cancelled):
                raise
            raise Cancelled(f"the call to {self.address} was ended here") from fault
        finally:
            ended.set()
