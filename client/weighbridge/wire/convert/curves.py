"""Curves of metrics."""

from __future__ import annotations

from weighbridge.core.curves import MetricCurve
from weighbridge.v1 import records_pb2


def curve_message(curve: MetricCurve) -> records_pb2.MetricCurve:
    """A curve, or a part of one, as a message."""
    return records_pb2.MetricCurve(
        name=curve.name,
        steps=curve.steps.tolist(),
        times_us=curve.times.astype("datetime64[us]").astype("int64").tolist(),
        values=curve.values.tolist(),
    )


def curve_value(message: records_pb2.MetricCurve) -> MetricCurve:
    """A message as a curve; its lists are as long as they came."""
    import numpy as np  # takes a while to load

    return MetricCurve(
        message.name,
        np.array(message.steps, np.int64),
        np.array(message.times_us, np.int64).view("datetime64[us]"),
        np.array(message.values, np.float64),
    )
