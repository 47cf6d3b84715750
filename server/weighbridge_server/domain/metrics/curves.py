"""Curves of metrics: what each is in short, its digest, and how a long one is thinned."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from weighbridge.core.curves import MetricCurve, joined, naive_utc, part
from weighbridge.core.digest import Digest
from weighbridge_server.domain.metrics.ports import CurveSummary

_TIME = "datetime64[us]"


def completed(curve: MetricCurve, now: datetime) -> MetricCurve:
    """The curve with what a request may leave out: steps are 0, and times those of the request."""
    size = len(curve)
    return MetricCurve(
        curve.name,
        curve.steps if len(curve.steps) else np.zeros(size, np.int64),
        curve.times if len(curve.times) else np.full(size, naive_utc(now), _TIME),
        curve.values,
    )


def without_first(curves: Sequence[MetricCurve], count: int) -> list[MetricCurve]:
    """The curves without their first points, counted through all of them; one with none left is left out."""
    rest = []
    for curve in curves:
        if count < len(curve):
            rest.append(part(curve, count, len(curve)) if count else curve)
        count = max(0, count - len(curve))
    return rest


def summary_with(before: CurveSummary | None, curve: MetricCurve) -> CurveSummary:
    """What a curve is in short when these points, at least one, are added to it."""
    newest = _newest(curve)
    step, time = int(curve.steps[newest]), _aware(curve.times[newest])
    latest = float(curve.values[newest])
    # ``fmin`` and ``fmax`` prefer a number to NaN.
    least, most = np.fmin.reduce(curve.values), np.fmax.reduce(curve.values)
    points = len(curve)
    if before is not None:
        if (before.latest_step, before.latest_time) > (step, time):
            latest, step, time = before.latest, before.latest_step, before.latest_time
        least, most = np.fmin(before.min, least), np.fmax(before.max, most)
        points += before.points
    return CurveSummary(curve.name, latest, step, time, float(least), float(most), points)


def _newest(curve: MetricCurve) -> int:
    """The place of the point of the highest step, of those of the latest time, of those that came last."""
    if len(curve) == 1:  # most often, of slow training that logs many metrics
        return 0
    highest = np.flatnonzero(curve.steps == curve.steps.max())
    times = curve.times[highest]
    return int(highest[np.flatnonzero(times == times.max())[-1]])


def curves_digest(curves: Iterable[MetricCurve]) -> Digest:
    """What binds an event to the points that it stands for; ``protos/SPEC.md`` has the format."""
    digest = blake3()
    for curve in curves:
        name = curve.name.encode()
        digest.update(struct.pack("<IQ", len(name), len(curve)))
        digest.update(name)
        digest.update(curve.steps.astype("<i8").tobytes())
        digest.update(curve.times.astype(_TIME).astype("<i8").tobytes())
        digest.update(curve.values.astype("<f8").tobytes())
    return digest.digest()


def thinned(parts: Iterable[MetricCurve], points: int, most: int) -> Iterator[MetricCurve]:
    """A curve of ``points`` points, given in parts, as at most ``most`` of them (4 or more).

    The first and the last stay. What is between is cut into stretches of equal length, and of each its lowest and its
    highest point stay, in their order: a peak of one point is seen at any width. Where a stretch is nothing but NaN,
    one of them stays. Of a stretch that the next part continues, its two points are held and no more.
    """
    if points <= most:
        yield from parts
        return
    stretches = (most - 2) // 2  # of two points or more, as there are more points than ``most``
    edges = np.concatenate([[0], 1 + np.arange(stretches + 1) * (points - 2) // stretches, [points]])
    begin = 0
    held: MetricCurve | None = None
    for incoming in parts:
        end = begin + len(incoming)
        within = edges[(edges > begin) & (edges < end)] - begin
        carried = 0 if held is None else len(held)
        seen = incoming if held is None else joined([held, incoming])
        starts = np.concatenate([[0], within + carried])
        chosen = _extremes(seen.values, starts)
        closed = len(chosen) if end in edges else int(np.searchsorted(chosen, starts[-1]))
        if closed:
            yield _picked(seen, chosen[:closed])
        held = _picked(seen, chosen[closed:]) if closed < len(chosen) else None
        begin = end


def _extremes(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the lowest and of the highest value of each stretch, in order; one place where they are one."""
    lengths = np.diff(starts, append=len(values))
    places = [starts[:0]]
    for wanted in (np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)):
        each = np.repeat(wanted, lengths)
        equal = np.flatnonzero((values == each) | (np.isnan(values) & np.isnan(each)))
        places.append(equal[np.searchsorted(equal, starts)])
    return np.unique(np.concatenate(places))


def _picked(curve: MetricCurve, places: NDArray[np.int64]) -> MetricCurve:
    return MetricCurve(curve.name, curve.steps[places], curve.times[places], curve.values[places])


def _aware(time: np.datetime64) -> datetime:
    return time.astype(_TIME).item().replace(tzinfo=UTC)  # type: ignore[no-any-return]
