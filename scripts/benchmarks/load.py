"""Tensors straight from the stream, beside a pull of the same file: how long, how much memory, how many bytes.

Through the SDK, each in a process of its own, in turns on a tmpfs, and in each round another one is first. The cache of
chunks begins empty, or is off.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.apart import apart
from benchmarks.loading import Done, Part, load, load_part, pull, read_in_order, rows_of
from benchmarks.model import LAYERS, layer_prefix, make_model
from benchmarks.options import Plan
from benchmarks.places import Place, tmpfs_first, work_in
from benchmarks.processes import run, serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_most

_VS_PULL = at_most(1.1)
_BEYOND_TENSORS = at_most(200)
_BEYOND_SHARE = at_most(4)
_RANKS = 8
_LARGEST = "model.embed_tokens.weight"

_PULL, _LOAD = "pull", "load"
_WAYS = {_PULL: pull, _LOAD: load, "open, read in order": read_in_order}
_CACHES = {"cache empty": True, "no cache": False}

Found = dict[tuple[str, str], list[Done]]
"""By the way and the cache: a value a round."""


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    found: Found = defaultdict(list)
    section = Section("load")
    with work_in(tmpfs_first(plan.on)) as place, serving(place.folder / "data") as server:
        model = place.folder / "model.safetensors"
        apart(make_model, model, plan.size_bytes)
        ref = run(server, place.folder / "cache", "push", "bench.load.model", str(model)).document["ref"]
        for number in range(plan.rounds):
            say(f"load: round {number + 1} of {plan.rounds}")
            _round(found, place, plan, server.address, ref, number)
        section.tables.append(_table(found, place, plan))
        section.lines += _lines(found)
        say("load: parts")
        _parts(section, server.address, ref)
    return section


def _round(found: Found, place: Place, plan: Plan, address: str, ref: str, number: int) -> None:
    first = number % len(_WAYS)
    names = [*_WAYS][first:] + [*_WAYS][:first]
    cache, out = place.folder / "cache", place.folder / "out"
    for kind, cached in _CACHES.items():
        for name in names:
            shutil.rmtree(cache, ignore_errors=True)
            place.settle(plan.size_bytes)
            found[name, kind].append(apart(_WAYS[name], address, ref, cache if cached else None, out))
            shutil.rmtree(out, ignore_errors=True)


def _table(found: Found, place: Place, plan: Plan) -> Table:
    rows: list[list[str | float | None]] = []
    for (name, kind), rounds in found.items():
        seconds = median(done.seconds for done in rounds)
        core_s, beyond_mib = median(done.core_s for done in rounds), max(done.beyond_mib for done in rounds)
        rows.append([f"{name}, {kind}", seconds, plan.size_bytes / 1e6 / seconds, core_s, beyond_mib])
    columns = ("", "seconds", "MB/s", "core seconds", "peak MiB beyond the result")
    return Table(f"{plan.size_bytes / 1e6:.0f} MB of bf16 on {place.name}", columns, sorted(rows, key=str))


def _lines(found: Found) -> list[Line]:
    lines = []
    for kind in _CACHES:
        load_s, pull_s = (median(done.seconds for done in found[name, kind]) for name in (_LOAD, _PULL))
        beyond_mib = max(done.beyond_mib for done in found[_LOAD, kind])
        lines += [
            Line(f"load_vs_pull_{kind.replace(' ', '_')}", load_s / pull_s, "x", _VS_PULL),
            Line(f"load_peak_beyond_tensors_{kind.replace(' ', '_')}", beyond_mib, "MiB", _BEYOND_TENSORS),
        ]
    return lines


def _parts(section: Section, address: str, ref: str) -> None:
    """What one of eight ranks receives, beside its share of what comes for everything."""
    whole = apart(load_part, address, ref, None)
    rows = {name: (0, count // _RANKS) for name, count in apart(rows_of, address, ref).items()}
    every_eighth = [f"{layer_prefix(layer)}*" for layer in range(0, LAYERS, _RANKS)]
    largest = apart(load_part, address, ref, [_LARGEST])
    parts = {
        "layers": (whole, apart(load_part, address, ref, every_eighth), True),
        "rows_of_the_largest_tensor": (
            largest,
            apart(load_part, address, ref, [_LARGEST], {_LARGEST: rows[_LARGEST]}),
            True,
        ),
        "rows_of_every_tensor": (whole, apart(load_part, address, ref, None, rows), False),
    }
    cells: list[list[str | float | None]] = []
    for name, (all_of_it, part, bounded) in parts.items():
        share = part.wanted_bytes / all_of_it.wanted_bytes
        beyond_mib = (part.received_bytes - share * all_of_it.received_bytes) / 2**20
        cells.append([name.replace("_", " "), *_cells(all_of_it), *_cells(part)])
        section.lines.append(
            Line(f"an_eighth_of_{name}_beyond_its_share", beyond_mib, "MiB", _BEYOND_SHARE if bounded else None)
        )
    columns = ("", "MB of all", "received for all", "MB wanted", "received")
    section.tables.append(Table(f"one of {_RANKS} ranks", columns, cells))


def _cells(part: Part) -> tuple[float, float]:
    return part.wanted_bytes / 1e6, part.received_bytes / 1e6
