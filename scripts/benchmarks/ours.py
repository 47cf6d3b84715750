"""One model in and out through the command line, in the ways that users do it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.files import content_digest
from benchmarks.places import Place
from benchmarks.processes import Ran, run, serving

PUSH = "push"
PULL = "pull"
_NAME = "bench.throughput.model"


@dataclass(frozen=True)
class Step:
    """One command, and the server's high-water mark while it ran."""

    name: str
    ran: Ran
    server_mib: float


def round_trip(place: Place, folder: Path, model: Path, newer: Path) -> list[Step]:
    """Every way, once, with a server and caches that begin empty; ``newer`` is the model with one layer changed.

    Raises:
        RuntimeError: a command failed, or what was pulled is not what was pushed.
    """
    cache, no_cache = folder / "cache", folder / "no-cache"
    first, second = folder / "first", folder / "second"
    steps: list[Step] = []
    with serving(folder / "data") as server:

        def step(name: str, *arguments: str, cache: Path = cache, expected: Path | None = None) -> None:
            place.settle(model.stat().st_size)
            server.forget_peak()
            ran = run(server, cache, *arguments)
            steps.append(Step(name, ran, server.peak_mib()))
            if expected is not None and content_digest(Path(arguments[-1]) / model.name) != content_digest(expected):
                raise RuntimeError(f"{name}: what was pulled is not what was pushed")

        # The cache that a pull fills is part of what a user pays; what a push leaves there is not of use to it.
        step(PUSH, "push", _NAME, str(model), cache=folder / "push-cache")
        step("push again", "push", _NAME, str(model), cache=folder / "push-cache")
        step(PULL, "pull", f"{_NAME}:1", str(first), expected=model)
        step("pull, in the cache", "pull", f"{_NAME}:1", str(second), expected=model)
        run(server, folder / "push-cache", "push", _NAME, str(newer))
        step("pull over an older one", "pull", f"{_NAME}:3", str(first), expected=newer)
        step("pull over an older one, no cache", "pull", f"{_NAME}:3", str(second), cache=no_cache, expected=newer)
    return steps
