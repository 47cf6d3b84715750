"""Clients that take chunks and do nothing with them, many in a process: what they measure is the server."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from weighbridge.core.digest import Digest
from weighbridge.fetch import fetch_manifest
from weighbridge.process import prepare_process
from weighbridge.v1 import transfer_pb2
from weighbridge.wire.connection import Connection
from weighbridge.wire.remote_store import RemoteStore

_PROCESSES = 2
"""Many threads of one process wait for each other; many processes would fight for the cores."""


def read_at_once(address: str, ref: str, readers: int) -> tuple[int, float]:
    """``readers`` clients take a whole version at once; the bytes of payload that came, and the seconds it took.

    The seconds are those from the first one's start to the last one's end, without the start of any process.
    """
    processes = min(readers, _PROCESSES)
    shares = [readers // processes + (number < readers % processes) for number in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        # Each has started and imported everything before any begins to read.
        for started in [pool.submit(_start) for _ in range(processes)]:
            started.result()
        done = [share.result() for share in [pool.submit(_read_with_threads, address, ref, n) for n in shares]]
    return sum(payload for payload, _, _ in done), max(end for _, _, end in done) - min(began for _, began, _ in done)


def _start() -> None:
    """Imports this module in a new process, and keeps it busy until the others have begun to as well."""
    prepare_process()
    time.sleep(0.5)


def _read_with_threads(address: str, ref: str, readers: int) -> tuple[int, float, float]:
    began = time.monotonic()  # one clock for all processes of the machine
    with ThreadPoolExecutor(readers) as threads:
        payload = sum(threads.map(lambda _: _read_whole(address, ref), range(readers)))
    return payload, began, time.monotonic()


def _read_whole(address: str, ref: str) -> int:
    """Takes every chunk of a version and drops it; how many bytes of payload came."""
    connection = Connection(address, None)
    try:
        store = RemoteStore(connection, ref=ref)
        return sum(len(chunk.payload) for chunk in store.get(_digests(connection, ref)))
    finally:
        connection.close()


@contextmanager
def stalled(address: str, ref: str, clients: int) -> Iterator[None]:
    """``clients`` that ask for every chunk of a version and read none, until the end of the block."""
    spawn = multiprocessing.get_context("spawn")
    asked, over = spawn.Event(), spawn.Event()
    process = spawn.Process(target=_stall, args=(address, ref, clients, asked, over))
    process.start()
    try:
        if not asked.wait(60):
            raise RuntimeError("the clients that stall have not begun in a minute")
        time.sleep(1)  # the server fills what it may send to each
        yield
    finally:
        over.set()
        process.join()


def _stall(address: str, ref: str, clients: int, asked: threading.Event, over: threading.Event) -> None:
    connections = [Connection(address, None) for _ in range(clients)]
    calls = []
    for connection in connections:
        request = transfer_pb2.DownloadChunksRequest(ref=ref, digests=_digests(connection, ref))
        calls.append(connection.open(connection.transfer.DownloadChunks, request))
    asked.set()
    over.wait()
    for call, connection in zip(calls, connections, strict=True):
        call.cancel()
        connection.close()


def _digests(connection: Connection, ref: str) -> list[Digest]:
    """Every chunk of a version, once."""
    return list(dict.fromkeys(chunk.digest for file in fetch_manifest(connection, ref).files for chunk in file.chunks))
