"""What the command takes, and what every section is given."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tools import Tools

SECTIONS = (
    "throughput",
    "stages",
    "codec",
    "changes",
    "memory",
    "load",
    "sharing",
    "metrics",
    "search",
    "watching",
    "nodes",
)
GB = 1_000_000_000
_TMPFS = Path("/dev/shm")


@dataclass(frozen=True)
class Plan:
    """What is measured, with what, and where."""

    size_bytes: int
    """Of the made bf16 model."""
    f32_bytes: int
    memory_bytes: int
    """How much the memory section moves."""
    rounds: int
    on: tuple[Path, ...]
    """Folders on whose file systems the throughput section works."""
    tools: Tools
    weights: Path | None
    only: tuple[str, ...]
    json: bool
    chart: Path | None


def read_plan(arguments: Sequence[str]) -> Plan:
    """The plan that command line arguments ask for; exits with 2 where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures transfers, and says which of the bounds hold.",
        epilog="exit codes: 0 every bound holds, 1 a section failed, 2 wrong arguments, 3 a bound does not hold",
    )
    parser.add_argument("--size", type=_positive, default=1.0, metavar="GB", help="of the made model (1)")
    parser.add_argument("--memory-gb", type=_positive, default=10.0, metavar="GB", help="of the memory section (10)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="medians are taken over so many (3)")
    parser.add_argument(
        "--on",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders to work in (TMPDIR, and /dev/shm where that is a tmpfs)",
    )
    parser.add_argument(
        "--peers-bin",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders with the commands and the Python of what is measured beside it, before those on the PATH",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="real weights (safetensors) for the codec section")
    parser.add_argument("--only", type=_sections, default=SECTIONS, metavar="NAME[,NAME...]", help=", ".join(SECTIONS))
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--chart", type=Path, metavar="FILE.png", help="draws push and pull beside the others")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error("--rounds: at least one round is needed")
    if given.chart and "throughput" not in given.only:
        parser.error("--chart shows the throughput section, which --only leaves out")
    for folder in given.on or ():
        if not folder.is_dir():
            parser.error(f"--on: {folder} is not a folder")
    return Plan(
        size_bytes=round(given.size * GB),
        f32_bytes=round(min(given.size, 0.1) * GB),
        memory_bytes=round(given.memory_gb * GB),
        rounds=given.rounds,
        on=tuple(folder.absolute() for folder in given.on or _folders()),
        tools=Tools(tuple(folder.absolute() for folder in given.peers_bin)),
        weights=given.weights.absolute() if given.weights else None,
        only=given.only,
        json=given.json,
        chart=given.chart.absolute() if given.chart else None,
    )


def temporary_folder() -> Path:
    """Where temporary files go."""
    return Path(os.environ.get("TMPDIR", "/tmp"))


def _folders() -> list[Path]:
    return [temporary_folder(), *([_TMPFS] if _TMPFS.is_dir() else [])]


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def _sections(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SECTIONS)}")
    return names
