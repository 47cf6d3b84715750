"""Whether many readers of one version share the server: all of them together, and one beside others that stall."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.apart import apart
from benchmarks.model import make_model
from benchmarks.options import Plan
from benchmarks.processes import run, serving
from benchmarks.progress import say
from benchmarks.readers import read_at_once, stalled
from benchmarks.report import Line, Section, Table, at_least

_READERS = 16
_STALLED = 8
_TOGETHER = at_least(0.8)
_BESIDE_STALLED = at_least(0.9)


def measure(plan: Plan, work: Path) -> Section:
    """See the module. Payload per second, of clients that only take it: decoding is theirs and not the server's."""
    model = work / "model.safetensors"
    apart(make_model, model, plan.size_bytes)
    one: list[float] = []
    together: list[float] = []
    beside: list[float] = []
    with serving(work / "data") as server:
        ref = run(server, work / "cache", "push", "bench.sharing.model", str(model)).document["ref"]

        def speed(readers: int) -> float:
            payload, seconds = read_at_once(server.address, ref, readers)
            return payload / 1e6 / seconds

        speed(1)  # what is read the first time comes from the disk
        for number in range(plan.rounds):
            say(f"sharing: round {number + 1} of {plan.rounds}")
            one.append(speed(1))
            together.append(speed(_READERS))
            with stalled(server.address, ref, _STALLED):
                beside.append(speed(1))
    section = Section("sharing")
    section.tables.append(
        Table(
            "payload of all together",
            ("", "MB/s"),
            [
                ["one reader", median(one)],
                [f"{_READERS} readers", median(together)],
                [f"one reader beside {_STALLED} that never read", median(beside)],
            ],
        )
    )
    section.lines += [
        Line(f"{_READERS}_readers_vs_one", median(together) / median(one), "x", _TOGETHER),
        Line(f"one_beside_{_STALLED}_stalled_vs_alone", median(beside) / median(one), "x", _BESIDE_STALLED),
    ]
    return section
