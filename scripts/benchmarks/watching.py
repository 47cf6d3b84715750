"""A thousand that watch one alias, and what that does to everybody else's calls."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

import weighbridge as wb
from benchmarks.apart import apart
from benchmarks.options import Plan
from benchmarks.processes import serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, at_least, at_most
from weighbridge.v1 import journal_pb2, journal_pb2_grpc

WATCHERS = 1000
MOVES = 100
_CHANNELS = 20
_CALLS = 2000
_MODEL, _ALIAS = "bench.watching.model", "live"
_P99 = at_most(5)
_ALL = at_least(WATCHERS)


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    file, standing = work / "file", work / "standing"
    file.write_bytes(b"weights")
    section = Section("watching")
    with serving(work / "data") as server, wb.connect(server.address) as client, ThreadPoolExecutor(3) as beside:
        for _ in range(2):
            client.push(_MODEL, file, capture=False)
        client.set_alias(_MODEL, _ALIAS, 1)
        idle = apart(latencies, server.address, _CALLS)
        at_rest_mib = server.peak_mib()
        watching = beside.submit(apart, watch_all, server.address, standing)
        while not standing.exists() and not watching.done():
            time.sleep(0.05)
        say(f"watching: {WATCHERS:,} stand, {MOVES} moves")
        quiet = apart(latencies, server.address, _CALLS)
        measured = beside.submit(apart, latencies, server.address, _CALLS)
        moves = [client.set_alias(_MODEL, _ALIAS, 2 - n % 2).revision for n in range(MOVES)]
        told, seconds = watching.result()
        busy = measured.result()
        peak_mib = server.peak_mib()
    right = sum(revisions == moves for revisions in told)
    section.lines += [
        Line("watchers_told_each_move_once_in_order", right, "", _ALL, f"of {WATCHERS:,}, {MOVES} moves"),
        Line("call_p99_while_moving", busy / idle, "x", _P99, f"of idle, {idle * 1000:.2f} ms"),
        Line("call_p99_while_standing", quiet / idle, "x", _P99, "of idle"),
        Line("moves_to_last_watcher", seconds, "s", note="from the first move seen to the last"),
        Line("server_memory", peak_mib, "MiB", note=f"{at_rest_mib:.0f} before anybody watched"),
    ]
    return section


def latencies(address: str, calls: int) -> float:
    """The 99th percentile of so many short calls, one after the other, in seconds."""
    found = []
    with wb.connect(address) as client:
        client.resolve(_MODEL)
        for _ in range(calls):
            began = time.perf_counter()
            client.resolve(_MODEL)
            found.append(time.perf_counter() - began)
    return sorted(found)[len(found) * 99 // 100]


def watch_all(address: str, standing: Path) -> tuple[list[list[int]], float]:
    """The revisions that each watcher was told, and how long the moves took to come; says when all stand."""
    return asyncio.run(_watch_all(address, standing))


async def _watch_all(address: str, standing: Path) -> tuple[list[list[int]], float]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(_CHANNELS)]
    stubs = [journal_pb2_grpc.JournalServiceStub(channel) for channel in channels]
    left = WATCHERS
    first: float | None = None

    async def watch(place: int) -> list[int]:
        nonlocal left, first
        revisions: list[int] = []
        call = stubs[place % _CHANNELS].Watch(journal_pb2.WatchRequest(model=_MODEL, alias=_ALIAS))
        async for answer in call:
            kind = answer.WhichOneof("message")
            if kind == "present":
                left -= 1
                if not left:
                    standing.touch()
            elif kind == "changes":
                first = first or time.perf_counter()
                revisions += [change.revision for change in answer.changes.changes]
                if len(revisions) == MOVES:
                    break
        call.cancel()
        return revisions

    told = await asyncio.gather(*(watch(place) for place in range(WATCHERS)))
    seconds = time.perf_counter() - (first or 0.0)
    for channel in channels:
        await channel.close()
    return told, seconds
