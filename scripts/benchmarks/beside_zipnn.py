"""How fast one core encodes and decodes, and the same bytes through ZipNN.

In processor time: whoever else is on that core takes none of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.apart import apart, use_one_core
from benchmarks.files import OpenFile
from benchmarks.options import Plan
from benchmarks.peers.commands import call
from benchmarks.peers.peer import PeerFailed
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_least, at_most
from weighbridge.core.chunking import Span, cut
from weighbridge.core.codec import encode_chunk, open_chunk
from weighbridge.core.digest import chunk_digest
from weighbridge.process import prepare_process

_MOST_BYTES = 256 * 1024 * 1024
"""Of a model, for the speeds."""

_SPEED_VS_ZIPNN = at_least(2)
_SIZE_VS_ZIPNN = at_most(1.001)


@dataclass(frozen=True)
class Speeds:
    """One core over the tensors of a file."""

    raw_bytes: int
    stored_bytes: int
    encode_s: float
    decode_s: float
    """Without the hashing, which belongs to every decoding here and to none of ZipNN's."""
    open_s: float
    """With it."""


def beside_zipnn(section: Section, plan: Plan, work: Path, models: Mapping[str, Path]) -> None:
    """Adds a table, and the lines of each model: both coders over the same bytes, in turns."""
    python = plan.tools.python_with("zipnn")
    if python is None:
        section.notes.append("ZipNN: not installed, neither in --peers-bin nor here")
    rows: list[Sequence[str | float | None]] = []
    for name, path in models.items():
        ours: list[Speeds] = []
        theirs: list[dict[str, float]] = []
        arguments = [str(path), *map(str, _stretch(path))]
        for number in range(plan.rounds):
            say(f"codec: {name}, round {number + 1} of {plan.rounds}")
            ours.append(apart(speeds, path))
            if python is not None:
                try:
                    theirs.append(call(python, "zipnn_call.py", arguments, work, plan.tools.environment()))
                except PeerFailed as failure:
                    section.notes.append(f"ZipNN failed on {name}: {failure}")
                    python = None
        both = _Both(ours, theirs if len(theirs) == plan.rounds else [])
        rows += both.rows(name)
        section.lines += both.lines("real_" if name.startswith("real") else "")
    section.tables.append(
        Table("one core", ("", "share", "encode MB/s", "decode MB/s", "decode and verify MB/s"), rows)
    )


@dataclass(frozen=True)
class _Both:
    """The rounds of one file."""

    ours: Sequence[Speeds]
    zipnn: Sequence[dict[str, float]]
    """Empty where it is not here."""

    def rows(self, name: str) -> list[Sequence[str | float | None]]:
        """Of the table of speeds."""
        raw = self.ours[0].raw_bytes
        times = (self._encode_s(), self._decode_s(), self._open_s())
        rows: list[Sequence[str | float | None]] = [
            [f"{name}, ours", self.ours[0].stored_bytes / raw, *(raw / 1e6 / seconds for seconds in times)]
        ]
        for way, title in (("whole", "ZipNN, one call"), ("pieces", "ZipNN, 2 MiB at a time")) if self.zipnn else ():
            speeds = (raw / 1e6 / self._zipnn(f"{way}_{what}") for what in ("encode_s", "decode_s"))
            rows.append([f"{name}, {title}", self._zipnn(f"{way}_stored_bytes") / raw, *speeds, None])
        return rows

    def lines(self, prefix: str) -> list[Line]:
        """The bounds are for ZipNN as its users call it; the lines without are for the way that we work ourselves."""
        raw_mb = self.ours[0].raw_bytes / 1e6
        found = [
            Line(f"{prefix}encode_speed", raw_mb / self._encode_s(), "MB/s", in_table=True),
            Line(f"{prefix}decode_speed", raw_mb / self._decode_s(), "MB/s", in_table=True),
        ]
        if not self.zipnn:
            return found + [
                Line(f"{prefix}{what}_vs_zipnn", None, "x", bound, "no ZipNN here")
                for what, bound in (
                    ("encode", _SPEED_VS_ZIPNN),
                    ("decode", _SPEED_VS_ZIPNN),
                    ("size", _SIZE_VS_ZIPNN),
                )
            ]
        for way, suffix, bound, note in (
            ("whole", "", _SPEED_VS_ZIPNN, "ZipNN in one call"),
            ("pieces", "_in_pieces", None, "ZipNN 2 MiB at a time"),
        ):
            encode, decode = self._zipnn(f"{way}_encode_s"), self._zipnn(f"{way}_decode_s")
            found += [
                Line(f"{prefix}encode_vs_zipnn{suffix}", encode / self._encode_s(), "x", bound, note),
                Line(f"{prefix}decode_vs_zipnn{suffix}", decode / self._decode_s(), "x", bound, note),
                Line(f"{prefix}decode_and_verify_vs_zipnn{suffix}", decode / self._open_s(), "x", None, note),
            ]
        size = self.ours[0].stored_bytes / self._zipnn("whole_stored_bytes")
        return [*found, Line(f"{prefix}size_vs_zipnn", size, "x", _SIZE_VS_ZIPNN)]

    def _encode_s(self) -> float:
        return median(round_.encode_s for round_ in self.ours)

    def _decode_s(self) -> float:
        return median(round_.decode_s for round_ in self.ours)

    def _open_s(self) -> float:
        return median(round_.open_s for round_ in self.ours)

    def _zipnn(self, figure: str) -> float:
        return median(round_[figure] for round_ in self.zipnn)


def speeds(path: Path) -> Speeds:
    """Encodes, opens and hashes the tensors of a file on one core, one chunk after the other. For ``apart``."""
    prepare_process()  # the command line and the server do
    use_one_core()
    raw_bytes = stored_bytes = 0
    encode_s = open_s = hash_s = 0.0
    with OpenFile(path) as file:
        for span in _tensor_spans(path):
            raw = file.read_at(span.offset, span.size)
            digest = chunk_digest(raw)
            if not raw_bytes:
                open_chunk(encode_chunk(raw, digest, span.dtype))  # codecs set themselves up at their first use
            began = time.process_time()
            chunk = encode_chunk(raw, digest, span.dtype)
            encoded = time.process_time()
            opened = open_chunk(chunk)
            decoded = time.process_time()
            chunk_digest(opened)
            hash_s += time.process_time() - decoded
            encode_s += encoded - began
            open_s += decoded - encoded
            raw_bytes += len(raw)
            stored_bytes += len(chunk.payload)
    return Speeds(raw_bytes, stored_bytes, encode_s, open_s - hash_s, open_s)


def _stretch(path: Path) -> tuple[int, int]:
    """Where the tensors that ``speeds`` is over begin and end."""
    spans = list(_tensor_spans(path))
    return spans[0].offset, spans[-1].offset + spans[-1].size


def _tensor_spans(path: Path) -> Iterator[Span]:
    """The first spans that hold tensors."""
    with OpenFile(path) as file:
        for span in cut(file, file.size_bytes):
            if span.offset > _MOST_BYTES:
                return
            if span.dtype is not None:
                yield span
