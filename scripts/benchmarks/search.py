"""What searching a large catalogue takes, through the real server and the SDK: the first 100 versions of each query."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import weighbridge as wb
from benchmarks.catalogue import MODELS, PACKAGES, fill
from benchmarks.options import Plan
from benchmarks.processes import serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_most

_VERSIONS = 100_000
_PAGE = 100
_TIMES = 20
"""How often each query is asked in a round."""
_BOUND = at_most(50)


@dataclass(frozen=True)
class Query:
    """What is asked."""

    name: str
    filter: str = ""
    order_by: str = ""


QUERIES = (
    Query("newest"),
    Query("half of all", 'metrics.accuracy > 0.3 && tags.hardware_target == "gpu"'),
    Query("ten of all", "metrics.accuracy > 0.9999"),
    Query("one", 'source.commit == "a87ff679a2f3e71d9181a67b7542122c"'),
    Query("none, of two common tags", 'tags.hardware_target == "gpu" && params.parity == 0'),
    Query("none, of three", 'tags.hardware_target == "gpu" && metrics.f1 > 0.1 && params.parity == 0'),
    Query("none, of a disjunction", "(metrics.accuracy > 2 || params.lr > 1) && energy.kwh > 1"),
    Query("negations", 'tags.hardware_target != "cpu" && !(tags.team == "team3") && !has(tags.reviewer)'),
    Query("the older half", 'tags.era == "old" && metrics.accuracy > 0.5'),
    Query("text", 'description.contains("number 42424,")'),
    Query("package", 'environment.packages["torch"] == "2.1.0" && environment.python.startsWith("3.11.")'),
    Query("dataset", 'datasets.exists(d, d.name == "dataset-7" && d.version == "2026-4")'),
    Query("parent", 'parents.exists(p, p.ref == "team7.task7.m7:42")'),
    Query("live", 'stage == "production" && created_time > timestamp("2026-02-01")'),
    Query("best", order_by="metrics.accuracy desc"),
    Query("best of a half", 'tags.hardware_target == "gpu"', "metrics.accuracy desc"),
    Query("best of the older half", 'tags.era == "old"', "metrics.accuracy desc"),
    Query("most for the energy", order_by="metrics.accuracy / (energy.gco2e / 1000) desc"),
    Query("most for the energy, of a half", 'tags.hardware_target == "gpu"', "metrics.accuracy / energy.kwh desc"),
    Query("largest", order_by="bytes_total desc, created_time"),
)


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    say(f"search: making a catalogue of {_VERSIONS:,} versions")
    fill(work / "data", _VERSIONS)
    times_ms: dict[str, list[float]] = {query.name: [] for query in QUERIES}
    found: dict[str, int] = {}
    with serving(work / "data") as server, wb.connect(server.address) as client:
        for number in range(plan.rounds):
            say(f"search: round {number + 1} of {plan.rounds}")
            for query in QUERIES:
                _ask(client, query)
                for _ in range(_TIMES):
                    began = time.perf_counter()
                    found[query.name] = _ask(client, query)
                    times_ms[query.name].append((time.perf_counter() - began) * 1000)
    section = Section("search")
    rows: list[list[str | float | None]] = []
    for query in QUERIES:
        percentiles = quantiles(times_ms[query.name], n=100)
        rows.append([query.name, found[query.name], percentiles[49], percentiles[94]])
        name = query.name.replace(",", "").replace(" ", "_")
        section.lines.append(Line(f"search_{name}_p95", percentiles[94], "ms", _BOUND, in_table=True))
    title = f"the first {_PAGE} of {_VERSIONS:,} versions of {MODELS:,} models, with {PACKAGES} packages each"
    section.tables.append(Table(title, ("", "found", "p50 ms", "p95 ms"), rows))
    section.notes += [
        f"{query.name}: {query.filter or 'all'}, {query.order_by or 'the newest first'}" for query in QUERIES
    ]
    return section


def _ask(client: wb.Client, query: Query) -> int:
    return sum(1 for _ in client.search(query.filter, order_by=query.order_by, limit=_PAGE))
