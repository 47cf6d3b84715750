"""A training loop that logs a metric, and one that does not. Only for ``apart``: its threads and memory are its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import weighbridge as wb

STEPS = 10_000
TURN = 25
"""Steps in a row of one kind."""
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


class Loops(NamedTuple):
    """What loops of ``STEPS`` steps took, in seconds."""

    plain_s: float
    again_s: float
    """The same once more: how far it is from ``plain_s`` is how much a difference may mean here."""
    logging_s: float


class Curve(NamedTuple):
    """What a large curve took, in seconds."""

    log_s: float
    commit_s: float
    """Behind the last point, until the version is there."""
    read_s: float
    thinned_s: float


def loops(address: str, file: Path) -> Loops:
    """Three loops that take turns of ``TURN`` steps: two that do not log, and one that does.

    A machine's clock wanders by several percent within seconds, so what is compared must run within the same moments.
    Points are sent in any loop's turn: what that takes is ``sending_seconds``.
    """
    step = _step()
    with _begun(address, file) as version:

        def plain(at: int) -> None:
            step()

        def again(at: int) -> None:
            step()

        def logging(at: int) -> None:
            step()
            version.log_metric("loss", 0.5, at)

        taken = dict.fromkeys((plain, again, logging), 0.0)
        orders = tuple(itertools.permutations(taken))
        for turn in range(STEPS // TURN):
            for body in orders[turn % len(orders)]:
                began = time.perf_counter()
                for at in range(turn * TURN, (turn + 1) * TURN):
                    body(at)
                taken[body] += time.perf_counter() - began
        return Loops(taken[plain], taken[again], taken[logging])


def sending_seconds(address: str, file: Path) -> float:
    """Processor time of all other threads during a loop that logs, and of all until its last point was sent."""
    step = _step()
    with _begun(address, file) as version:
        all_s, own_s = time.process_time(), time.thread_time()
        for at in range(STEPS):
            step()
            version.log_metric("loss", 0.5, at)
        own_s = time.thread_time() - own_s
        version.wait()
        return time.process_time() - all_s - own_s


def call_seconds(address: str, file: Path) -> float:
    """What one ``log_metric`` takes of the loop that calls it."""
    with _begun(address, file) as version:
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


@contextmanager
def _begun(address: str, file: Path) -> Iterator[wb.VersionInProgress]:
    """A version that has its file already."""
    with wb.connect(address) as client, client.begin(_MODEL, tags=_TAGS, capture=False) as version:
        version.add(file)
        version.wait()
        yield version


def _step() -> Callable[[], None]:
    """Work of about a millisecond, of one thread, and always the same: a wait for the clock would hide what logging
    takes."""
    import numpy

    for size in itertools.count(2000, 2000):
        given = numpy.linspace(-3, 3, size)
        room = numpy.empty_like(given)

        def step(given: object = given, room: object = room) -> None:
            numpy.tanh(given, out=room)  # type: ignore[call-overload]

        if min(_seconds(step) for _ in range(20)) >= STEP_S:
            return step
    raise AssertionError("no size is large enough")


def _seconds(job: Callable[[], None]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began
