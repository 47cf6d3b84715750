"""One client's connection to one server: the stubs, and how every call is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from weighbridge.v1 import journal_pb2_grpc, models_pb2_grpc, transfer_pb2_grpc, versions_pb2_grpc
from weighbridge.wire.channel import UNARY_DEADLINE_S, call_metadata, open_channel, translated

Response = TypeVar("Response")


class Connection:
    """Makes calls with the caller's identity, a deadline, and errors raised as their own classes.

    Safe to use from several threads.
    """

    def __init__(self, address: str, token: str | None) -> None:
        self.address = address
        self._channel = open_channel(address)
        self._metadata = call_metadata(token)
        self.models = models_pb2_grpc.ModelServiceStub(self._channel)
        self.versions = versions_pb2_grpc.VersionServiceStub(self._channel)
        self.transfer = transfer_pb2_grpc.TransferServiceStub(self._channel)
        self.journal = journal_pb2_grpc.JournalServiceStub(self._channel)

    def close(self) -> None:
        """Ends every call and closes the channel."""
        self._channel.close()

    def call(self, method: Callable[..., Response], request: Any) -> Response:
        """One answer to one request, within 30 s. Raises the ``WeighbridgeError`` that the status stands for."""
        with translated(self.address):
            return method(request, timeout=UNARY_DEADLINE_S, metadata=self._metadata)

    def send(self, method: Callable[..., Response], requests: Iterable[Any]) -> Response:
        """One answer to a stream of requests."""
        with translated(self.address):
            return method(iter(requests), metadata=self._metadata)

    def open(self, method: Callable[..., Any], request: Any) -> Any:
        """A call that streams answers; iterate it within ``translated``, or through ``stream``."""
        return method(request, metadata=self._metadata)

    def stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """A stream of answers. Leaving the iteration early ends the call."""
        call = self.open(method, request)
        try:
            with translated(self.address):
                yield from call
        finally:
            call.cancel()
