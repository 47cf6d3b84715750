"""The metric curves of all versions, a chart for each metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from weighbridge.core.comparison import Comparison, MetricDifference
from weighbridge.core.curves import MetricCurve
from weighbridge.report.chart import Line, curves_chart, dots_chart, sample
from weighbridge.report.markup import Markup, element
from weighbridge.report.tables import folded, section
from weighbridge.report.wording import better_text, named

MOST_CHARTS = 100
_MOST_POINTS = 120_000
"""On the whole page, some 12 bytes each."""

Curves = Sequence[Mapping[str, MetricCurve]]
"""Of each version, by the metric's name."""


def charted(comparison: Comparison) -> list[str]:
    """The metrics that are drawn."""
    return [metric.name for metric in comparison.metrics[:MOST_CHARTS]]


def points_per_curve(comparison: Comparison) -> int:
    """How many points of each curve the page has room for."""
    curves = len(charted(comparison)) * len(comparison.versions)
    return max(20, min(1000, _MOST_POINTS // max(1, curves)))


def curves_section(comparison: Comparison, curves: Curves, labels: Sequence[str]) -> Markup | None:
    """Charts, in order of name."""
    figures = [
        _figure(metric, lines, labels)
        for metric in comparison.metrics[:MOST_CHARTS]
        if (lines := _lines(metric.name, curves, labels))
    ]
    if not figures:
        return None
    left_out = len(comparison.metrics) - MOST_CHARTS
    note = f"of the first {MOST_CHARTS} metrics; {left_out} more are not drawn" if left_out > 0 else ""
    return section("Curves", element("div", *figures, class_="charts"), note=note)


def _lines(name: str, curves: Curves, labels: Sequence[str]) -> list[Line]:
    """In order of steps, which is not always that in which points came."""
    lines = []
    for place, of_version in enumerate(curves):
        curve = of_version.get(name)
        if curve is not None and len(curve):
            points = sorted(zip(curve.steps.tolist(), curve.values.tolist(), strict=True), key=lambda point: point[0])
            lines.append(Line(place, labels[place], [step for step, _ in points], [value for _, value in points]))
    return lines


def _figure(metric: MetricDifference, lines: Sequence[Line], labels: Sequence[str]) -> Markup:
    way = "neither way" if metric.lower_is_better is None else better_text(metric)
    title = element("h3", metric.name, element("span", f" {way} is better", class_="quiet"))
    blank = [line.label for line in lines if all(map(math.isnan, line.ys))]
    note = [element("p", f"nothing to draw of {named(blank)}: every value is NaN", class_="quiet")] if blank else []
    return element("figure", element("figcaption", title, *note), *_drawn(metric.name, lines, labels))


def _drawn(name: str, lines: Sequence[Line], labels: Sequence[str]) -> list[Markup]:
    """The charts, and which line is whose."""
    if all(len(line.ys) == 1 for line in lines):
        return [dots_chart(name, lines, labels)]  # its axis says whose
    legend = [element("li", sample(line.version), line.label) for line in lines]
    return [*_charts(name, lines), element("ul", *legend, class_="legend")]


def _charts(name: str, lines: Sequence[Line]) -> list[Markup]:
    x_title = "step"
    if len({step for line in lines for step in line.xs}) == 1:  # nobody said steps: in the order they came
        lines = [Line(line.version, line.label, range(1, len(line.ys) + 1), line.ys) for line in lines]
        x_title = "point"
    chart = curves_chart(name, lines, x_title)
    logarithmic = curves_chart(name, lines, x_title, log=True)
    assert chart is not None, "a linear scale holds any values"
    return [chart] if logarithmic is None else [chart, folded("on a logarithmic scale", logarithmic)]
