"""What logging metrics costs a training loop, and what a curve of a million points takes."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.apart import apart
from benchmarks.options import Plan
from benchmarks.processes import serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_most
from benchmarks.training import POINTS, STEPS, THINNED, Curve, Loop, call_seconds, large_curve, loops

_OVERHEAD = at_most(1)
_CALL = at_most(10)


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    file = work / "file"
    file.write_bytes(b"weights")
    plain: list[Loop] = []
    logging: list[Loop] = []
    calls: list[float] = []
    curves: list[Curve] = []
    with serving(work / "data") as server:
        for number in range(plan.rounds):
            say(f"metrics: round {number + 1} of {plan.rounds}")
            for found, loop in zip((plain, logging), apart(loops, server.address, file), strict=True):
                found.append(loop)
            calls.append(apart(call_seconds, server.address, file))
            curves.append(apart(large_curve, server.address, file))
    section = Section("metrics")
    section.tables.append(
        Table(
            f"a loop of {STEPS:,} steps",
            ("", "seconds", "core-seconds"),
            [
                ["as it is", *_medians(plain)],
                ["that logs a point a step", *_medians(logging)],
            ],
        )
    )
    logged, committed, read, thinned = _medians(curves)
    section.tables.append(
        Table(
            f"a curve of {POINTS:,} points",
            ("", "seconds"),
            [
                ["logged as fast as can be", logged],
                ["the rest sent, and committed", committed],
                ["read", read],
                [f"read, thinned to {THINNED:,}", thinned],
            ],
        )
    )
    section.lines += [
        Line("loop_overhead", _overhead(plain, logging, 0), "%", _OVERHEAD, "of the time"),
        Line("loop_core_overhead", _overhead(plain, logging, 1), "%", note="of the processor time, of all threads"),
        Line("log_metric_call", median(calls) * 1e6, "µs", _CALL),
        *(
            Line(f"million_points_{name}", seconds, "s", in_table=True)
            for name, seconds in zip(("logged", "committed", "read", "thinned"), _medians(curves), strict=True)
        ),
    ]
    return section


def _medians(found: list[Loop] | list[Curve]) -> list[float]:
    return [median(values) for values in zip(*found, strict=True)]


def _overhead(plain: list[Loop], logging: list[Loop], which: int) -> float:
    """In percent: the median over the rounds, in each of which the two ran one after the other."""
    return 100 * median(with_it[which] / without[which] - 1 for without, with_it in zip(plain, logging, strict=True))
