"""Peak resident memory of both sides: while gigabytes go in and out, and under many and stalled readers.

The kernel's high-water marks, so no peak is missed.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from benchmarks.apart import apart
from benchmarks.model import make_shards
from benchmarks.options import GB, Plan
from benchmarks.processes import Server, run, serving
from benchmarks.progress import say
from benchmarks.readers import read_at_once, stalled
from benchmarks.report import Line, Section, Table, at_most

_ONE_TRANSFER = at_most(300)
_MANY = at_most(400)
_READERS = 64
_READERS_BESIDE_STALLED = 32
_STALLED = 8


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    section = Section("memory")
    files = math.ceil(plan.memory_bytes / GB)
    amount = f"{plan.memory_bytes / GB:g} GB"
    say(f"memory: making {amount}")
    apart(make_shards, work / "model", plan.memory_bytes, files)
    with serving(work / "data") as server:
        rest_mib = server.peak_mib()
        moves = [
            (name, *_move(server, work / "cache", name, *arguments))
            for name, arguments in (
                ("push", ("push", "bench.memory.model", str(work / "model"))),
                ("pull", ("pull", "bench.memory.model", str(work / "out"))),
            )
        ]
        shutil.rmtree(work / "out")
        first = min((work / "model").iterdir())
        ref = run(server, work / "cache", "push", "bench.memory.one", str(first)).document["ref"]
        one = f"{first.stat().st_size / 1e9:.3g} GB"
        beside = _read(server, ref, _READERS_BESIDE_STALLED, _STALLED)
        many = _read(server, ref, _READERS, 0)  # last: what it took, the allocator keeps for a while
    section.tables += [
        Table(
            f"{amount} in and out",
            ("", "seconds", "client peak MiB", "server peak MiB"),
            [["server at rest", None, None, rest_mib], *moves],
        ),
        Table(
            f"pulls of {one} at once",
            ("", "seconds", "payload GB", "server peak MiB"),
            [
                [f"{_READERS} readers", *many],
                [f"{_READERS_BESIDE_STALLED} readers and {_STALLED} that never read", *beside],
            ],
        ),
    ]
    section.lines += [
        line
        for name, _, client_mib, server_mib in moves
        for line in (
            Line(f"{name}_client_peak", client_mib, "MiB", _ONE_TRANSFER, amount),
            Line(f"{name}_server_peak", server_mib, "MiB", _ONE_TRANSFER, amount),
        )
    ]
    section.lines += [
        Line(f"server_peak_at_{_READERS}_pulls", many[2], "MiB", _MANY, f"of {one}"),
        Line(
            f"server_peak_at_{_READERS_BESIDE_STALLED}_pulls_and_{_STALLED}_stalled",
            beside[2],
            "MiB",
            _ONE_TRANSFER,
            f"of {one}",
        ),
    ]
    return section


def _move(server: Server, cache: Path, name: str, *arguments: str) -> tuple[float, float, float]:
    """One command: its seconds, its peak and the server's."""
    say(f"memory: {name}")
    server.forget_peak()
    ran = run(server, cache, *arguments)
    return ran.seconds, ran.peak_mib, server.peak_mib()


def _read(server: Server, ref: str, readers: int, never_read: int) -> tuple[float, float, float]:
    """Readers at once: the seconds they took, the GB of payload that came, and the server's peak."""
    say(f"memory: {readers} readers at once, {never_read} that never read")
    server.forget_peak()
    with stalled(server.address, ref, never_read):
        payload, seconds = read_at_once(server.address, ref, readers)
        return seconds, payload / 1e9, server.peak_mib()
