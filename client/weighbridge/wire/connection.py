"""One client's connection to one server: the stubs, and how every call is made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from weighbridge.core.errors import Unavailable, WeighbridgeError
from weighbridge.v1 import journal_pb2_grpc, models_pb2_grpc, transfer_pb2_grpc, versions_pb2_grpc
from weighbridge.wire.channel import UNARY_DEADLINE_S, call_metadata, open_channel, translated
from weighbridge.wire.retry import Patience

Response = TypeVar("Response")

RETRY_LIMIT_S = 60.0


class Connection:
    """Makes calls with the caller's identity, a deadline, and errors raised as their own classes.

    Safe to use from several threads.
    """

    def __init__(self, address: str, token: str | None, *, retry_limit_s: float = RETRY_LIMIT_S) -> None:
        """``retry_limit_s``: how long work that stands still is tried again."""
        self.address = address
        self._channel = open_channel(address)
        self._metadata = call_metadata(token)
        self._retry_limit_s = retry_limit_s
        self._reached = False
        self._closed = threading.Event()
        self.models = models_pb2_grpc.ModelServiceStub(self._channel)
        self.versions = versions_pb2_grpc.VersionServiceStub(self._channel)
        self.transfer = transfer_pb2_grpc.TransferServiceStub(self._channel)
        self.journal = journal_pb2_grpc.JournalServiceStub(self._channel)

    def close(self) -> None:
        """Ends every call and closes the channel."""
        self._closed.set()
        self._channel.close()

    def patience(self) -> Patience:
        """For work that is made of several calls and is tried again as a whole.

        A server that was never reached is most likely not there: a person learns that at once.
        """
        return Patience(self._retry_limit_s if self._reached else 0.0, self._closed)

    def call(self, method: Callable[..., Response], request: Any) -> Response:
        """One answer to one request, within 30 s a try; tried again while the server cannot be reached.

        Every call of the API may be made twice: what creates something carries a request id.

        Raises:
            WeighbridgeError: what the status stands for.
        """
        patience = self.patience()
        while True:
            try:
                with translated(self.address):
                    response = method(request, timeout=UNARY_DEADLINE_S, metadata=self._metadata)
                self._reached = True
                return response
            except WeighbridgeError as error:
                self._reached = self._reached or not isinstance(error, Unavailable)
                patience.pause_after(error)

    def send(self, method: Callable[..., Response], requests: Callable[[], Iterable[Any]]) -> Response:
        """One answer to a stream of requests, which ``requests`` makes anew for each try."""
        patience = self.patience()
        while True:
            try:
                with translated(self.address):
                    return method(iter(requests()), metadata=self._metadata)
            except WeighbridgeError as error:
                patience.pause_after(error)

    def open(self, method: Callable[..., Any], request: Any) -> Any:
        """A call that streams answers; iterate it within ``translated``, or through ``stream``."""
        return method(request, metadata=self._metadata)

    def stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """A stream of answers. Leaving the iteration early ends the call. Not tried again: the caller is."""
        call = self.open(method, request)
        try:
            with translated(self.address):
                for response in call:
                    self._reached = True
                    yield response
        finally:
            call.cancel()
