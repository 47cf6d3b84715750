"""What logging metrics costs a training loop, and what a curve of a million points takes."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.apart import apart
from benchmarks.options import Plan
from benchmarks.processes import serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_most
from benchmarks.training import PARTS, POINTS, STEPS, THINNED, Curve, Loop, call_seconds, large_curve, loops

_OVERHEAD = at_most(1)
_CALL = at_most(10)


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    file = work / "file"
    file.write_bytes(b"weights")
    pairs: list[tuple[Loop, Loop]] = []
    calls: list[float] = []
    curves: list[Curve] = []
    with serving(work / "data") as server:
        for number in range(plan.rounds):
            say(f"metrics: round {number + 1} of {plan.rounds}")
            pairs += apart(loops, server.address, file)
            calls.append(apart(call_seconds, server.address, file))
            curves.append(apart(large_curve, server.address, file))
    section = Section("metrics")
    section.tables.append(
        Table(
            f"a loop of {STEPS:,} steps",
            ("", "seconds", "core-seconds"),
            [
                ["as it is", *_whole([plain for plain, _ in pairs])],
                ["that logs a point a step", *_whole([logging for _, logging in pairs])],
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
        Line("loop_overhead", _overhead(pairs, 0), "%", _OVERHEAD, "of the time"),
        Line("loop_core_overhead", _overhead(pairs, 1), "%", note="of the processor time, of all threads"),
        Line("log_metric_call", median(calls) * 1e6, "µs", _CALL),
        *(
            Line(f"million_points_{name}", seconds, "s", in_table=True)
            for name, seconds in zip(("logged", "committed", "read", "thinned"), _medians(curves), strict=True)
        ),
    ]
    return section


def _whole(parts: list[Loop]) -> list[float]:
    return [PARTS * value for value in _medians(parts)]


def _medians(found: list[Loop] | list[Curve]) -> list[float]:
    return [median(values) for values in zip(*found, strict=True)]


def _overhead(pairs: list[tuple[Loop, Loop]], which: int) -> float:
    """In percent: the median over the pairs, whose parts ran one right after the other."""
    return 100 * median(logging[which] / plain[which] - 1 for plain, logging in pairs)
