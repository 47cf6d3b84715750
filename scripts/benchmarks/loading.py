"""What a serving node does with a version, through the SDK, measured from inside. For ``apart``: each begins anew."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import weighbridge as wb

_MIB = 1024
"""In the kernel's kB."""
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Done:
    """One way of getting at the bytes, from its call to its end, with what is imported on the way."""

    seconds: float
    core_s: float
    beyond_mib: float
    """The high-water mark of resident memory, beyond what there was before and what the result takes."""


@dataclass(frozen=True)
class Part:
    """What came for some tensors, or for rows of them."""

    wanted_bytes: int
    received_bytes: int


class _Received:
    """A ``Progress`` that adds up what came over the wire."""

    def __init__(self) -> None:
        self.total = 0

    def begin(self, files_total: int, bytes_total: int) -> None:
        """Nothing."""

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Adds."""
        self.total += moved_bytes


def pull(address: str, ref: str, cache: Path | None, out: Path) -> Done:
    """Pulls into ``out``."""
    return _done(address, cache, lambda client: client.pull(ref, out))


def load(address: str, ref: str, cache: Path | None, out: Path) -> Done:
    """Loads every tensor."""
    return _done(address, cache, lambda client: client.load(ref))


def read_in_order(address: str, ref: str, cache: Path | None, out: Path) -> Done:
    """Opens the one file, and reads it 1 MiB at a time."""

    def read(client: wb.Client) -> None:
        (summary,) = client.files(ref)
        with client.open(ref, summary.path) as file:
            while file.read(_READ_BYTES):
                pass

    return _done(address, cache, read)


def load_part(
    address: str, ref: str, tensors: Sequence[str] | None, rows: Mapping[str, tuple[int, int]] | None = None
) -> Part:
    """Loads some tensors, or rows of them, with nothing in a cache."""
    received = _Received()
    with _connect(address, None) as client:
        arrays = client.load(ref, tensors=tensors, rows=rows, progress=received)
    return Part(_bytes_of(arrays), received.total)


def rows_of(address: str, ref: str) -> dict[str, int]:
    """How many rows each tensor has."""
    with _connect(address, None) as client:
        return {name: len(array) for name, array in client.load(ref).items()}


def _done(address: str, cache: Path | None, work: Callable[[wb.Client], object]) -> Done:
    with _connect(address, cache) as client:
        before_mib = _memory_mib("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # a new high-water mark
        began, core_began = time.perf_counter(), time.process_time()
        result = work(client)
        seconds, core_s = time.perf_counter() - began, time.process_time() - core_began
        result_mib = _bytes_of(result) / 2**20 if isinstance(result, dict) else 0.0
        return Done(seconds, core_s, _memory_mib("VmHWM") - before_mib - result_mib)


def _connect(address: str, cache: Path | None) -> wb.Client:
    """A client whose cache of chunks is in a folder, or off."""
    if cache is None:
        os.environ["WEIGHBRIDGE_CACHE_LIMIT"] = "0"
    else:
        os.environ["WEIGHBRIDGE_CACHE_DIR"] = str(cache)
    return wb.connect(address)


def _bytes_of(arrays: Mapping[str, Any]) -> int:
    return sum(array.nbytes for array in arrays.values())


def _memory_mib(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / _MIB
    raise LookupError(f"the kernel does not say {name}")
