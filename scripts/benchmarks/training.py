"""A training loop that logs a metric, and one that does not. Only for ``apart``: its threads and memory are its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import weighbridge as wb

STEPS = 10_000
PARTS = 4
STEP_S = 0.001
POINTS = 1_000_000
THINNED = 1000

_MODEL = "bench.metrics.model"
_TAGS: dict[str, wb.Scalar] = {
    "data_sensitivity": "none",
    "cost_per_inference": 0,
    "dataset_version": "none",
    "hardware_target": "cpu",
}
"""What a server as it is shipped asks for."""


class Loop(NamedTuple):
    """What a loop took, in seconds."""

    wall_s: float
    core_s: float
    """Processor time of all threads, those that send among them."""


class Curve(NamedTuple):
    """What a large curve took, in seconds."""

    log_s: float
    commit_s: float
    """Behind the last point, until the version is there."""
    read_s: float
    thinned_s: float


def loops(address: str, file: Path) -> list[tuple[Loop, Loop]]:
    """Parts of a loop that does not log, each with one of a loop that does, right before or behind it.

    So a machine that slows down slows both. The steps are of numpy, about a millisecond each, and always the same work:
    one that waits for the clock would hide what logging takes.
    """
    step = _step()
    with wb.connect(address) as client, client.begin(_MODEL, tags=_TAGS, capture=False) as version:
        version.add(file)
        version.wait()

        def plain(at: int) -> None:
            step()

        def logging(at: int) -> None:
            step()
            version.log_metric("loss", 0.5, at)

        def part(body: Callable[[int], None]) -> Loop:
            loop = _timed(body)
            # What is still to be sent must not be the next part's: its processor time is that of this one.
            rest_s = _seconds(version.wait, time.process_time)
            return Loop(loop.wall_s + rest_s, loop.core_s + rest_s) if body is logging else loop

        pairs = []
        for number in range(PARTS):
            first, second = (plain, logging) if number % 2 else (logging, plain)
            taken = {first: part(first), second: part(second)}
            pairs.append((taken[plain], taken[logging]))
        return pairs


def call_seconds(address: str, file: Path) -> float:
    """What one ``log_metric`` takes of the loop that calls it."""
    with wb.connect(address) as client, client.begin(_MODEL, tags=_TAGS, capture=False) as version:
        version.add(file)
        began = time.perf_counter()
        for at in range(STEPS):
            version.log_metric("loss", 0.5, at)
        return (time.perf_counter() - began) / STEPS


def large_curve(address: str, file: Path) -> Curve:
    """Logs a curve as fast as it can, commits it and reads it.

    Raises:
        RuntimeError: what is read is not what was logged.
    """
    with wb.connect(address) as client:
        began = time.perf_counter()
        with client.begin(_MODEL, tags=_TAGS, capture=False) as version:
            version.add(file)
            for at in range(POINTS):
                version.log_metric("loss", 0.5 * at, at)
            logged = time.perf_counter()
        committed = time.perf_counter()
        assert version.result is not None
        ref = version.result.version.ref
        whole = client.metrics(ref)["loss"]
        read = time.perf_counter()
        thin = client.metrics(ref, most_points=THINNED)["loss"]
        thinned = time.perf_counter()
    if len(whole) != POINTS or whole.steps[-1] != POINTS - 1 or not 0 < len(thin) <= THINNED:
        raise RuntimeError(f"of {POINTS} points {len(whole)} were read, and {len(thin)} thinned")
    return Curve(logged - began, committed - logged, read - committed, thinned - read)


def _timed(body: Callable[[int], None]) -> Loop:
    began, core_began = time.perf_counter(), time.process_time()
    for at in range(STEPS // PARTS):
        body(at)
    return Loop(time.perf_counter() - began, time.process_time() - core_began)


def _step() -> Callable[[], None]:
    """Work of about a millisecond, of one thread."""
    import numpy

    for size in itertools.count(2000, 2000):
        given = numpy.linspace(-3, 3, size)
        room = numpy.empty_like(given)

        def step(given: object = given, room: object = room) -> None:
            numpy.tanh(given, out=room)  # type: ignore[call-overload]

        if min(_seconds(step) for _ in range(20)) >= STEP_S:
            return step
    raise AssertionError("no size is large enough")


def _seconds(job: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    job()
    return clock() - began
