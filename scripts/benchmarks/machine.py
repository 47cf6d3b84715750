"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.places import file_system

_LIBRARIES = ("weighbridge", "grpcio", "protobuf", "zstandard", "blake3", "numpy")


def machine_facts(folders: Sequence[Path]) -> Mapping[str, str | int]:
    """Names and values; ``folders`` are those that are worked in."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
        **{f"on {folder}": file_system(folder) for folder in folders},
    }


def _field(path: str, name: str) -> str:
    """The first value of a name in one of the kernel's tables."""
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"
