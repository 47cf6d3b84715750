"""Metrics of several versions beside each other, by their newest values."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from weighbridge.core.comparison import MetricDifference
from weighbridge.core.direction import Direction, direction
from weighbridge.core.values import MetricSummary

_LOWER = {Direction.LOWER: True, Direction.HIGHER: False, Direction.NEITHER: None}


def metric_differences(
    versions: Sequence[Sequence[MetricSummary]], lower: Collection[str], higher: Collection[str]
) -> list[MetricDifference]:
    """Every metric that a version has, in order of name.

    ``lower`` and ``higher``: those of which less, or more, is better whatever their name says.
    """
    summaries = [{metric.name: metric for metric in metrics} for metrics in versions]
    return [
        _difference(
            name,
            [metrics.get(name) for metrics in summaries],
            lower=True if name in lower else False if name in higher else _LOWER[direction(name)],
        )
        for name in sorted({name for metrics in summaries for name in metrics})
    ]


def _difference(name: str, values: Sequence[MetricSummary | None], *, lower: bool | None) -> MetricDifference:
    latest = [None if value is None else value.latest for value in values]
    return MetricDifference(
        name=name,
        lower_is_better=lower,
        values=tuple(values),
        differences=tuple(_less(value, latest[0]) for value in latest),
        better=tuple(_better(value, latest[0], lower=lower) for value in latest),
    )


def _less(value: float | None, first: float | None) -> float | None:
    if value is None or first is None:
        return None
    difference = value - first
    return None if math.isnan(difference) else difference


def _better(value: float | None, first: float | None, *, lower: bool | None) -> bool | None:
    if lower is None or value is None or first is None or value == first:
        return None
    if math.isnan(value) or math.isnan(first):
        return None if math.isnan(value) and math.isnan(first) else math.isnan(first)
    return (value < first) is lower
