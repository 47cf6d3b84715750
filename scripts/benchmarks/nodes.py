"""Ten thousand serving nodes that report what they run, again and again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc

import weighbridge as wb
from benchmarks.apart import apart
from benchmarks.options import Plan
from benchmarks.processes import serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, at_least, at_most
from weighbridge.v1 import deployments_pb2, deployments_pb2_grpc

NODES = 10_000
_EVERY_S = 20
_ROUNDS = 2
_CHANNELS = 8
_AT_ONCE = 32
_MODEL = "bench.nodes.model"


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    file = work / "file"
    file.write_bytes(b"weights")
    section = Section("nodes")
    with serving(work / "data") as server, wb.connect(server.address) as client:
        ref = client.push(_MODEL, file, capture=False).version.ref
        client.promote(ref, "staging")
        client.promote(ref, "production")
        say(f"nodes: {NODES:,} report for the first time")
        apart(report_all, server.address, ref, 1)
        before = client.checkpoint().revision
        say(f"nodes: {NODES:,} report {_ROUNDS} times")
        seconds = apart(report_all, server.address, ref, _ROUNDS)
        events = client.checkpoint().revision - before
        began = time.perf_counter()
        zombies = client.zombies()
        looked = time.perf_counter() - began
        peak_mib = server.peak_mib()
    section.lines += [
        Line("events_of_reports_that_say_nothing_new", events, "", at_most(0)),
        Line("reports", NODES * _ROUNDS / seconds, "/s", at_least(NODES / _EVERY_S), f"one each {_EVERY_S} s a node"),
        Line("zombies_among_them", len(zombies.zombies), "", at_most(0)),
        Line("find_zombies", looked, "s"),
        Line("server_memory", peak_mib, "MiB"),
    ]
    return section


def report_all(address: str, ref: str, rounds: int) -> float:
    """How many seconds it takes until every node has reported so often."""
    return asyncio.run(_report_all(address, ref, rounds))


async def _report_all(address: str, ref: str, rounds: int) -> float:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(_CHANNELS)]
    stubs = [deployments_pb2_grpc.DeploymentServiceStub(channel) for channel in channels]
    waiting = iter([node for _ in range(rounds) for node in range(NODES)])

    async def report(stub: deployments_pb2_grpc.DeploymentServiceAsyncStub) -> None:
        for node in waiting:
            request = deployments_pb2.ReportDeploymentRequest(node=f"node-{node}", ref=ref, ttl_s=3 * _EVERY_S)
            await stub.ReportDeployment(request)

    began = time.perf_counter()
    await asyncio.gather(*(report(stubs[place % _CHANNELS]) for place in range(_AT_ONCE)))
    seconds = time.perf_counter() - began
    for channel in channels:
        await channel.close()
    return seconds
