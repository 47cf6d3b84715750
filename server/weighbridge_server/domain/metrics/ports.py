"""What the domain needs of storage for the curves of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from weighbridge.core.curves import MetricCurve


@dataclass(frozen=True)
class MetricLog:
    """The owner of curves: an upload's, which the version takes over at its commit."""

    log_id: int
    names: int
    """How many metrics it has."""
    points: int
    """How many points they have together."""
    now: datetime
    """The transaction's time, for points that came without one."""


@dataclass(frozen=True)
class CurveSummary:
    """A curve in short, as it is kept. NaN is never ``min`` or ``max``, unless all values are NaN."""

    name: str
    latest: float
    """The value of its newest point: the highest step, of those the latest time, of those the last that came."""
    latest_step: int
    latest_time: datetime
    min: float
    max: float
    points: int


class MetricRows(Protocol):
    """Curves. Who adds to those of an upload locked the upload; of a version, its model."""

    def of_upload(self, upload_id: str) -> MetricLog:
        """The log of an open upload."""
        ...

    def of_version(self, model: str, number: int) -> MetricLog: ...

    def last_sequence(self, log_id: int, writer: str) -> int:
        """The number of a writer's newest point; 0 when none came."""
        ...

    def reach(self, log_id: int, writer: str, last_sequence: int) -> None:
        """Keeps how far a writer has come."""
        ...

    def summaries(self, log_id: int, names: Sequence[str] | None = None) -> dict[str, CurveSummary]:
        """In order of name; only of these metrics, where names are given."""
        ...

    def append(self, log_id: int, curves: Sequence[MetricCurve], summaries: Mapping[str, CurveSummary]) -> None:
        """Adds points, at least one a curve and one curve a metric. ``summaries``: what each curve is with them."""
        ...

    def read(self, log_id: int, names: Sequence[str], start: int, stop: int) -> dict[str, MetricCurve]:
        """Of each curve the points from number ``start``, counted from 0, up to ``stop`` or a little further.

        In order of name, without those that have no such points. ``start`` is 0 or the end of what was read before.
        """
        ...
