"""A bare gRPC stream over loopback between two processes: bytes in, bytes out, and nothing done with them."""

from __future__ import annotations

import multiprocessing
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import grpc

from weighbridge.core.chunks import Buffer

_SERVICE = "bench"


class Transport:
    """This process as the client, and one of its own as the server; a context manager."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, other_end = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(other_end,), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self._pipe.recv()}")
        self.up([b"\0"])  # connects
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._pipe.send("end")
        self._process.join()

    def up(self, payloads: Iterable[Buffer]) -> None:
        """Sends a message a payload, and waits until the server has taken all of them."""
        for _ in self._method("Up")(map(bytes, payloads)):
            pass

    def down(self, sizes: Sequence[int]) -> None:
        """Takes a message of each size."""
        request = struct.pack(f"<{len(sizes)}I", *sizes)
        taken = sum(len(message) for message in self._method("Down")(iter([request])))
        assert taken == sum(sizes)

    def _method(self, name: str) -> grpc.StreamStreamMultiCallable[bytes, bytes]:
        return self._channel.stream_stream(f"/{_SERVICE}/{name}", _same, _same)

    def other_core_s(self) -> float:
        """The processor time that the server has taken so far, in seconds."""
        self._pipe.send("core")
        return float(self._pipe.recv())


def _same(message: bytes) -> bytes:
    return message


def _serve(pipe: Connection[Any, Any]) -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    handlers = {
        "Up": grpc.stream_stream_rpc_method_handler(_up, _same, _same),
        "Down": grpc.stream_stream_rpc_method_handler(_down, _same, _same),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pipe.send(port)
    while pipe.recv() == "core":
        pipe.send(time.process_time())
    server.stop(None).wait()


def _up(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for _ in requests:
        pass
    yield b""


def _down(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    largest = bytes(4 * 1024 * 1024)  # gRPC's largest message
    for request in requests:
        for (size,) in struct.iter_unpack("<I", request):
            yield largest[:size]
