"""Metrics: adding points to a version that is committed, and reading curves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from weighbridge.calls.connected import Connected
from weighbridge.core.curves import MetricCurve, curves_of, joined, part
from weighbridge.core.errors import DataLoss, InternalError, UsageError
from weighbridge.core.limits import (
    METRIC_POINTS_PER_CALL,
    METRIC_POINTS_PER_VERSION,
    METRICS_PER_VERSION,
    check_metric_limit,
)
from weighbridge.core.record_check import check_metrics
from weighbridge.core.refs import parse_ref
from weighbridge.core.unicode_check import check_unicode
from weighbridge.core.values import MetricPoint
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge.wire import convert


class MetricCalls(Connected):
    """See ``Client``."""

    def log_metrics(self, ref: str, points: Iterable[MetricPoint]) -> None:
        """Adds points to a version that was committed, such as those of an evaluation that came later.

        The journal records it. Up to 65,536 points are added together or not at all; where there are more, what was
        added before an error stays. A point without a time is taken to be of now.

        Raises:
            InvalidRequest, LimitExceeded: a name or a step cannot be taken, or the points are too many; none was added.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound.
        """
        parse_ref(ref)
        if not isinstance(points, Iterable):  # callers without a type checker
            raise UsageError(
                f"points is a list, such as [wb.MetricPoint('auc', 0.94)]; this is a {type(points).__name__}"
            )
        given = list(points)
        if not given:
            raise UsageError("there are no points to log")
        check_metrics(given)
        check_metric_limit("metrics", len({point.name for point in given}), METRICS_PER_VERSION)
        from weighbridge.core.curve_check import check_curves  # loads numpy

        batches = list(_batches(curves_of(given, datetime.now(UTC))))
        for batch in batches:
            check_curves(batch)
        if len(batches) > 1:  # all of them to one version, wherever the reference moves meanwhile
            ref = self._connection.call(
                self._connection.versions.ResolveVersion, versions_pb2.ResolveVersionRequest(ref=ref)
            ).ref
        writer, first_sequence = uuid.uuid4().hex, 1
        for batch in batches:
            request = versions_pb2.LogMetricsRequest(
                ref=ref, writer=writer, first_sequence=first_sequence, curves=map(convert.curve_message, batch)
            )
            self._connection.call(self._connection.versions.LogMetrics, request)
            first_sequence += sum(map(len, batch))

    def metrics(self, ref: str, names: Sequence[str] = (), most_points: int = 0) -> dict[str, MetricCurve]:
        """The curves of a version's metrics, by name and in order of name.

        Args:
            ref: any reference.
            names: of which metrics; those that the version does not have are left out. Empty: of all.
            most_points: a longer curve is thinned to at most so many points, from 4 on: its first, last, highest and
                lowest are among them, and peaks stay. 0: every point.

        Returns:
            Curves with the arrays ``steps``, ``times`` and ``values``, of 24 bytes a point; they are the caller's.

        Raises:
            InvalidRequest: ``most_points`` is 1, 2, 3, or above a million; or a name is no text.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound.
        """
        parse_ref(ref)
        if isinstance(names, str):
            raise UsageError(f"names is a list of metrics, such as [{names!r}]")
        if not 0 <= most_points < 2**32:
            raise UsageError(f"most_points is {most_points}; it is 0 or a number of points")
        check_unicode("metrics", {f"names[{place}]": name for place, name in enumerate(names)})
        request = versions_pb2.GetMetricsRequest(ref=ref, names=names, most_points=most_points)
        parts: dict[str, list[MetricCurve]] = self._connection.patience().run(lambda: self._curves(request))
        return {name: joined(of_name) for name, of_name in parts.items()}

    def _curves(self, request: versions_pb2.GetMetricsRequest) -> dict[str, list[MetricCurve]]:
        parts: dict[str, list[MetricCurve]] = {}
        points = 0
        for message in self._connection.stream(self._connection.versions.GetMetrics, request):
            curve = self._checked(message)
            points += len(curve)
            if points > METRIC_POINTS_PER_VERSION or not len(curve):
                raise InternalError(f"{self.server} sends curves without end: {points} points, and no last one")
            parts.setdefault(curve.name, []).append(curve)
        return parts

    def _checked(self, message: records_pb2.MetricCurve) -> MetricCurve:
        lengths = {len(message.steps), len(message.times_us), len(message.values)}
        if len(lengths) > 1:
            raise DataLoss(f"{self.server} sent a curve of {message.name[:80]!r} whose lists are not of one length")
        return convert.curve_value(message)


def _batches(curves: Iterable[MetricCurve]) -> Iterator[list[MetricCurve]]:
    """The points in groups that one call may have; it may have as many metrics as a version."""
    batch: list[MetricCurve] = []
    room = METRIC_POINTS_PER_CALL
    for curve in curves:
        start = 0
        while start < len(curve):
            piece = part(curve, start, start + room)
            batch.append(piece)
            start += len(piece)
            room -= len(piece)
            if not room:
                yield batch
                batch, room = [], METRIC_POINTS_PER_CALL
    if batch:
        yield batch
