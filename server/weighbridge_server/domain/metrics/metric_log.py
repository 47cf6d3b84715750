"""Adding points to the curves of an upload or a version, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.core.curves import MetricCurve
from weighbridge.core.limits import METRIC_POINTS_PER_VERSION, METRICS_PER_VERSION, check_metric_limit
from weighbridge_server.domain.metrics.curves import summary_with
from weighbridge_server.domain.metrics.ports import MetricLog
from weighbridge_server.domain.ports import Transaction


def add_curves(tx: Transaction, log: MetricLog, curves: Sequence[MetricCurve]) -> int:
    """Adds points, which are as a request may have them; returns how many the log has with them.

    Raises:
        LimitExceeded.
    """
    if not curves:
        return log.points
    points = log.points + sum(map(len, curves))
    check_metric_limit("points of metrics", points, METRIC_POINTS_PER_VERSION)
    before = tx.metrics.summaries(log.log_id, [curve.name for curve in curves])
    check_metric_limit("metrics", log.names + len(curves) - len(before), METRICS_PER_VERSION)
    summaries = {curve.name: summary_with(before.get(curve.name), curve) for curve in curves}
    tx.metrics.append(log.log_id, curves, summaries)
    return points
