"""What curves must be like to be logged, checked by the SDK before anything is sent and by the server again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from weighbridge.core.curves import MetricCurve
from weighbridge.core.errors import InvalidRequest, LimitExceeded, Violation
from weighbridge.core.limits import METRIC_POINTS_PER_CALL
from weighbridge.core.record_check import metric_name_violations

_EARLIEST = np.datetime64("0001-01-01", "us")
_BEYOND = np.datetime64("10000-01-01", "us")


def check_curves(curves: Sequence[MetricCurve]) -> None:
    """Checks names, lengths and times; any value is kept, NaN and infinities too.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
        LimitExceeded: more points than one call may have.
    """
    violations: list[Violation] = []
    names: set[str] = set()
    for curve in curves:
        violations += _curve(curve)
        if curve.name in names:
            violations.append(Violation(f"metrics.{curve.name}", "comes twice; put its points together"))
        names.add(curve.name)
    if violations:
        raise InvalidRequest("the metrics cannot be taken", violations=violations)
    points = sum(map(len, curves))
    if points > METRIC_POINTS_PER_CALL:
        raise LimitExceeded(
            f"{points} metric points; a call has at most {METRIC_POINTS_PER_CALL}. Send them in several",
            details={"limit": str(METRIC_POINTS_PER_CALL), "actual": str(points)},
        )


def _curve(curve: MetricCurve) -> Iterator[Violation]:
    path = f"metrics.{curve.name}"
    yield from metric_name_violations(curve.name)
    if not len(curve):
        yield Violation(path, "has no points")
    for what, array in (("steps", curve.steps), ("times", curve.times)):
        if len(array) not in (0, len(curve)):
            yield Violation(path, f"has {len(array)} {what} and {len(curve)} values")
    if not ((curve.times >= _EARLIEST) & (curve.times < _BEYOND)).all():  # NaT too
        yield Violation(path, "has a time beyond the years 1 to 9999")
