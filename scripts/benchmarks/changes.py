"""What is sent when little has changed, and how quick nothing is."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from statistics import median

from benchmarks.apart import apart
from benchmarks.files import OpenFile, hash_seconds
from benchmarks.model import ADDED, LAYERS, layer_prefix, make_model, make_shards
from benchmarks.options import Plan
from benchmarks.processes import Server, run, serving
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_most
from weighbridge.core.chunking import cut

_LAYER = 12
_SHARDS = 20
_VS_HASHING = at_most(2)


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    say("changes: making the models")
    base, changed, shifted = (work / name / "model.safetensors" for name in ("base", "changed", "shifted"))
    apart(make_model, base, plan.size_bytes)
    apart(make_model, changed, plan.size_bytes, other_layer=_LAYER)
    apart(make_model, shifted, plan.size_bytes, added_first=True)
    section = Section("changes")
    with serving(work / "data") as server:
        cache = work / "cache"
        pushed = [run(server, cache, "push", "bench.changes.model", str(base)).document]
        for name, path, prefix in (
            ("changed_layer", changed, layer_prefix(_LAYER)),
            ("added_first", shifted, ADDED),
        ):
            say(f"changes: {name}")
            pushed.append(run(server, cache, "push", "bench.changes.model", str(path)).document)
            own = at_most(_chunks_of(path, prefix))
            section.lines.append(
                Line(
                    f"{name}_chunks_sent",
                    pushed[-1]["chunks_sent"],
                    "chunks",
                    own,
                    "those of the tensors and the header",
                )
            )
        titles = ("everything", f"one of {LAYERS} layers changed", "a tensor added before all others")
        section.tables.append(
            Table(
                "what is sent",
                ("", "chunks", "chunks sent", "MB sent"),
                [
                    [title, document["chunks_total"], document["chunks_sent"], document["bytes_sent"] / 1e6]
                    for title, document in zip(titles, pushed, strict=True)
                ],
            )
        )
        _known(section, plan, work, server)
    return section


def _known(section: Section, plan: Plan, work: Path, server: Server) -> None:
    """A folder that the server has already, beside hashing it."""
    folder, cache = work / "shards", work / "cache"
    apart(make_shards, folder, plan.size_bytes, _SHARDS)
    shards = sorted(folder.iterdir())
    run(server, cache, "push", "bench.changes.shards", str(folder))
    sent, seconds, hashing_s = 0, [], []
    for number in range(plan.rounds):
        say(f"changes: known shards, round {number + 1} of {plan.rounds}")
        hashing_s.append(apart(hash_seconds, shards))
        ran = run(server, cache, "push", "bench.changes.shards", str(folder))
        seconds.append(ran.seconds)
        sent = max(sent, ran.document["chunks_sent"])
    section.lines += [
        Line("known_shards_chunks_sent", sent, "chunks", at_most(0)),
        Line("known_shards_seconds", median(seconds), "s"),
        Line("known_shards_hashing_seconds", median(hashing_s), "s", note="one thread, 2 MiB at a time"),
        Line("known_shards_vs_hashing", median(seconds) / median(hashing_s), "x", _VS_HASHING),
    ]


def _chunks_of(path: Path, prefix: str) -> int:
    """How many chunks hold something of the header, or of the tensors whose names begin with ``prefix``."""
    with OpenFile(path) as file:
        data = 8 + struct.unpack("<Q", file.read_at(0, 8))[0]
        tensors = json.loads(file.read_at(8, data - 8))
        stretches = [(0, data)] + [
            (data + tensor["data_offsets"][0], data + tensor["data_offsets"][1])
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        ]
        return sum(
            any(span.offset < end and begin < span.offset + span.size for begin, end in stretches)
            for span in cut(file, file.size_bytes)
        )
