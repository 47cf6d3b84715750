"""What logging metrics costs a training loop, and what a curve of a million points takes."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.apart import apart
from benchmarks.options import Plan
from benchmarks.processes import serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_most
from benchmarks.training import POINTS, STEPS, THINNED, Curve, Loops, call_seconds, large_curve, loops, sending_seconds

_OVERHEAD = at_most(1)
_CALL = at_most(10)


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    file = work / "file"
    file.write_bytes(b"weights")
    trained: list[Loops] = []
    sent: list[float] = []
    calls: list[float] = []
    curves: list[Curve] = []
    with serving(work / "data") as server:
        for number in range(plan.rounds):
            say(f"metrics: round {number + 1} of {plan.rounds}")
            trained.append(apart(loops, server.address, file))
            sent.append(apart(sending_seconds, server.address, file))
            calls.append(apart(call_seconds, server.address, file))
            curves.append(apart(large_curve, server.address, file))
    section = Section("metrics")
    plain, again, logging = _medians(trained)
    section.tables.append(
        Table(
            f"loops of {STEPS:,} steps that take turns",
            ("", "seconds"),
            [
                ["as it is", plain],
                ["the same again", again],
                ["that logs a point a step", logging],
                ["processor time of what sends them", median(sent)],
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
    in_loop = 100 * median(loops.logging_s / loops.plain_s - 1 for loops in trained)
    noise = 100 * median(abs(loops.again_s / loops.plain_s - 1) for loops in trained)
    sending = 100 * median(sent) / plain
    section.lines += [
        # As if training waited for all that sends, which is more than it does.
        Line("loop_overhead", in_loop + sending, "%", _OVERHEAD, f"in the loop {in_loop:.2f}, sending {sending:.2f}"),
        Line("loop_noise", noise, "%", note="the same loop beside itself"),
        Line("log_metric_call", median(calls) * 1e6, "µs", _CALL),
        *(
            Line(f"million_points_{name}", seconds, "s", in_table=True)
            for name, seconds in zip(("logged", "committed", "read", "thinned"), _medians(curves), strict=True)
        ),
    ]
    return section


def _medians(found: list[Loops] | list[Curve]) -> list[float]:
    return [median(values) for values in zip(*found, strict=True)]
