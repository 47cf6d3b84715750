"""Each stage of a transfer alone on one core, so that a slow one is seen.

The figures are of raw bytes, whatever a stage carries: 1 GB is 1 GB of the model, and a stage that handles encoded
payload has less to do for it. Core-seconds are the processor time of all threads of all processes of a stage.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.apart import apart, use_one_core
from benchmarks.files import OpenFile
from benchmarks.model import make_model
from benchmarks.options import Plan
from benchmarks.places import tmpfs_first, work_in
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table
from benchmarks.transport import Transport
from weighbridge.core.chunking import cut
from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.codec import encode_chunk, open_chunk
from weighbridge.core.digest import chunk_digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.process import prepare_process

_MOST_BYTES = 500_000_000
"""More of a model would tell nothing new."""

_PUSH = ("read", "hash", "encode", "transport up", "decode", "hash again", "write stored")
_PULL = ("transport down", "decode", "hash again", "write raw")
"""What the server reads of its packs comes from the page cache, and is part of its transport."""


class Cost(NamedTuple):
    """What a stage took for all the raw bytes."""

    wall_s: float
    core_s: float


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    size_bytes = min(plan.size_bytes, _MOST_BYTES)
    section = Section("stages")
    with work_in(tmpfs_first(plan.on)) as place:
        model = place.folder / "model.safetensors"
        apart(make_model, model, size_bytes)
        samples: dict[str, list[Cost]] = defaultdict(list)
        for number in range(plan.rounds):
            say(f"stages: round {number + 1} of {plan.rounds}")
            for stage, cost in apart(run_stages, model, place.folder).items():
                samples[stage].append(cost)
        size_bytes = model.stat().st_size
    costs = {
        stage: Cost(median(cost.wall_s for cost in found), median(cost.core_s for cost in found))
        for stage, found in samples.items()
    }
    core_s_per_gb = {stage: cost.core_s / size_bytes * 1e9 for stage, cost in costs.items()}
    section.tables.append(
        Table(
            f"each stage on one core, {place.name}",
            ("", "MB/s", "core-seconds per GB", "push", "pull"),
            [
                [
                    stage,
                    size_bytes / 1e6 / cost.wall_s,
                    core_s_per_gb[stage],
                    "x" if stage in _PUSH else "",
                    "x" if stage in _PULL else "",
                ]
                for stage, cost in costs.items()
            ],
        )
    )
    section.lines += [
        Line(f"{stage.replace(' ', '_')}_speed", size_bytes / 1e6 / cost.wall_s, "MB/s", in_table=True)
        for stage, cost in costs.items()
    ]
    for verb, stages in (("push", _PUSH), ("pull", _PULL)):
        total = sum(core_s_per_gb[stage] for stage in stages)
        section.lines.append(Line(f"{verb}_core_seconds", total, "s/GB", note="the sum of its stages, both sides"))
    return section


def run_stages(model: Path, folder: Path) -> dict[str, Cost]:
    """Every stage once, on one core. For ``apart``.

    A chunk goes from stage to stage, as in a transfer, so that each finds it in the processor's cache or does not.
    """
    prepare_process()  # the command line and the server do
    use_one_core()
    clock = _Clock()
    chunks = _encoded(model)
    _read_hash_encode(model, clock)
    with Transport() as transport, (folder / "stored").open("wb", buffering=0) as stored:
        with clock.running("transport up", transport):
            transport.up(chunk.payload for chunk in chunks)
        with clock.running("transport down", transport):
            transport.down([len(chunk.payload) for chunk in chunks])
        with clock.running("write stored"):
            for chunk in chunks:
                stored.write(chunk.payload)
            os.fsync(stored.fileno())
    _decode_hash_write(chunks, folder / "raw", clock)
    return clock.costs


def _read_hash_encode(model: Path, clock: _Clock) -> None:
    """Nothing is kept, as when a chunk is sent: fresh memory for each payload would take as long as making it."""
    room_for_all = memoryview(bytearray(CHUNK_BYTES))
    with OpenFile(model) as file:
        for span in cut(file, file.size_bytes):
            room = room_for_all[: span.size]
            with clock.running("read"):
                file.read_into(room, span.offset)
            with clock.running("hash"):
                digest = chunk_digest(room)
            with clock.running("encode"):
                encode_chunk(room, digest, span.dtype)


def _encoded(model: Path) -> list[EncodedChunk]:
    """The chunks for the stages behind; codecs set themselves up at their first use, which is here."""
    with OpenFile(model) as file:
        raws = ((file.read_at(span.offset, span.size), span.dtype) for span in cut(file, file.size_bytes))
        return [encode_chunk(raw, chunk_digest(raw), dtype) for raw, dtype in raws]


def _decode_hash_write(chunks: list[EncodedChunk], path: Path, clock: _Clock) -> None:
    with path.open("wb", buffering=0) as file:
        for chunk in chunks:
            with clock.running("decode"):
                raw = open_chunk(chunk)
            with clock.running("hash again"):
                chunk_digest(raw)
            with clock.running("write raw"):
                file.write(raw)
        with clock.running("write raw"):
            os.fsync(file.fileno())
    both, hashing = clock.costs["decode"], clock.costs["hash again"]
    # ``open_chunk`` is both; what hashing takes by itself is known now.
    clock.costs["decode"] = Cost(both.wall_s - hashing.wall_s, both.core_s - hashing.core_s)


class _Clock:
    """What each stage has taken so far."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}

    @contextmanager
    def running(self, stage: str, transport: Transport | None = None) -> Iterator[None]:
        """Adds what the block takes, here and at the other end of a transport."""
        earlier = self.costs.get(stage, Cost(0, 0))
        other_began = transport.other_core_s() if transport else 0
        began, core_began = time.perf_counter(), time.process_time()
        yield
        wall_s, core_s = time.perf_counter() - began, time.process_time() - core_began
        other_s = transport.other_core_s() - other_began if transport else 0
        self.costs[stage] = Cost(earlier.wall_s + wall_s, earlier.core_s + core_s + other_s)
