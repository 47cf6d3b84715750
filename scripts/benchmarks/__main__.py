"""``python -m benchmarks``; see ``scripts/bench --help``."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    changes,
    codec,
    document,
    load,
    memory,
    metrics,
    nodes,
    search,
    sharing,
    stages,
    terminal,
    throughput,
    watching,
)
from benchmarks.machine import machine_facts
from benchmarks.options import Plan, read_plan, temporary_folder
from benchmarks.places import work_in
from benchmarks.progress import say
from benchmarks.report import Section

_MEASURE: Mapping[str, Callable[[Plan, Path], Section]] = {
    "throughput": throughput.measure,
    "stages": stages.measure,
    "codec": codec.measure,
    "changes": changes.measure,
    "memory": memory.measure,
    "load": load.measure,
    "sharing": sharing.measure,
    "metrics": metrics.measure,
    "search": search.measure,
    "watching": watching.measure,
    "nodes": nodes.measure,
}

_FAILED = 1
_BOUND_NOT_MET = 3


def main() -> int:
    """Measures, prints, and returns the exit code."""
    plan = read_plan(sys.argv[1:])
    # Ends as Ctrl-C does: the servers that run are ended, and the work folders removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    facts = machine_facts(plan.on)
    sections = [_section(name, plan) for name in _MEASURE if name in plan.only]
    if plan.json:
        document.show(facts, sections)
    else:
        terminal.show(facts, sections)
    bars = [bar for section in sections for bar in section.bars]
    if plan.chart and bars:
        from benchmarks import chart  # what draws takes memory, and is of use only here

        chart.draw(plan.chart, bars, plan.size_bytes)
        say(f"wrote {plan.chart}")
    if any(section.error for section in sections):
        return _FAILED
    if any(line.ok is False for section in sections for line in section.lines):
        return _BOUND_NOT_MET
    return 0


def _section(name: str, plan: Plan) -> Section:
    """One section, in a work folder that is removed; a section that fails does not stop the others."""
    try:
        with work_in(temporary_folder()) as place:
            return _MEASURE[name](plan, place.folder)
    except Exception as failure:  # noqa: BLE001 - whatever it was, it is shown
        traceback.print_exc()
        return Section(name, error=str(failure) or type(failure).__name__)


if __name__ == "__main__":
    sys.exit(main())
