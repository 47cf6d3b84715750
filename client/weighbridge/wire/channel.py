"""Channels to a server, with the identity that each call carries."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import grpc

from weighbridge.v1 import transfer_pb2
from weighbridge.wire.chunk_frame import read_download
from weighbridge.wire.status import from_rpc_error

ACTOR_HEADER = "weighbridge-actor"
"""Who calls, percent-encoded: what a server without authentication records, marked as such."""
_LONGEST_ACTOR = 256
"""Characters; servers keep no more."""

UNARY_DEADLINE_S = 30.0

READ_OPTIONS = (
    ("grpc.experimental.tcp_min_read_chunk_size", 64 * 1024),
    ("grpc.experimental.tcp_max_read_chunk_size", 1024 * 1024),
)
"""How much gRPC reads from a socket at once, at either end. With its own guesses a transfer takes a tenth longer."""


def open_channel(address: str) -> grpc.Channel:
    """A channel of its own connection; connects on first use."""
    return grpc.insecure_channel(
        address,
        options=[
            # Channels to one address would share one connection, which is slower than a few.
            ("grpc.use_local_subchannel_pool", 1),
            *READ_OPTIONS,
            # gRPC waits up to two minutes before it looks again whether a server is back; our tries end sooner.
            ("grpc.max_reconnect_backoff_ms", 3_000),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 20_000),
        ],
    )


class Lane:
    """The calls that carry chunks, on one channel: several run at once, each on a connection of its own."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.upload = channel.stream_stream(
            "/weighbridge.v1.TransferService/UploadChunks",
            request_serializer=lambda frame: frame,  # made by ``upload_frame`` or by protobuf
            response_deserializer=transfer_pb2.UploadChunksResponse.FromString,
        )
        self.download = channel.unary_stream(
            "/weighbridge.v1.TransferService/DownloadChunks",
            request_serializer=transfer_pb2.DownloadChunksRequest.SerializeToString,
            response_deserializer=read_download,
        )


def call_metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata of every call: the declared user, and the token where there is one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = "unknown"
    # The environment may name a user in bytes that are no text; the name must not be what fails a call.
    metadata = ((ACTOR_HEADER, quote(user[:_LONGEST_ACTOR], errors="backslashreplace")),)
    return (*metadata, ("authorization", f"Bearer {token}")) if token else metadata


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Raises what a failed call stands for. Streams must be iterated inside the block."""
    try:
        yield
    except grpc.RpcError as fault:
        raise from_rpc_error(fault, address) from fault
