"""Metric curves as arrays. numpy is loaded by whoever makes one: a training job that logs metrics makes none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from weighbridge.core.values import MetricPoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MetricCurve:
    """A metric's curve: three arrays of one length, the points in the order in which they came."""

    name: str
    steps: NDArray[np.int64]
    times: NDArray[np.datetime64]
    """``datetime64[us]``, in UTC."""
    values: NDArray[np.float64]

    def __len__(self) -> int:
        """How many points."""
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        """Whether the points are the same, bit for bit: a NaN is equal to itself."""
        if not isinstance(other, MetricCurve):
            return NotImplemented
        mine, others = (
            [curve.name, *(array.tobytes() for array in (curve.steps, curve.times, curve.values))]
            for curve in (self, other)
        )
        return mine == others

    __hash__ = None  # type: ignore[assignment]


def curves_of(points: Iterable[MetricPoint], now: datetime) -> list[MetricCurve]:
    """Single points as curves, the metrics in the order in which they first occur.

    ``now``: the time of points that have none.
    """
    import numpy as np

    by_name: dict[str, list[MetricPoint]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    return [
        MetricCurve(
            name,
            np.array([int(point.step) for point in of_name], np.int64),
            np.array([naive_utc(point.time or now) for point in of_name], "datetime64[us]"),
            np.array([float(point.value) for point in of_name], np.float64),
        )
        for name, of_name in by_name.items()
    ]


def part(curve: MetricCurve, start: int, stop: int) -> MetricCurve:
    """The points from ``start`` to ``stop``."""
    return MetricCurve(curve.name, curve.steps[start:stop], curve.times[start:stop], curve.values[start:stop])


def joined(parts: Sequence[MetricCurve]) -> MetricCurve:
    """The points of all parts of a curve, one part after the other."""
    import numpy as np

    return MetricCurve(
        parts[0].name,
        np.concatenate([item.steps for item in parts]),
        np.concatenate([item.times for item in parts]),
        np.concatenate([item.values for item in parts]),
    )


def naive_utc(time: datetime) -> datetime:
    """As numpy takes a time: in UTC, without saying so."""
    return time.astimezone(UTC).replace(tzinfo=None)
