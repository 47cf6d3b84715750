"""A metric's curves of several versions, drawn over each other as SVG.

Each version has a colour and a dash pattern of its own (classes ``v0`` to ``v15`` of the page's style): they are told
apart without colours too. A NaN is a gap. An infinity stands at the edge, marked with a triangle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from weighbridge.report.markup import Markup, element, escaped, joined
from weighbridge.report.scale import Scale, linear, logarithmic
from weighbridge.report.wording import number, numbers

_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 42
_X_TICKS, _Y_TICKS = 5, 5
_MOST_DOTS = 30
"""A curve of so many points shows each, with its numbers where the pointer is."""
_DOT, _MARK = 3.5, 6.0


@dataclass(frozen=True)
class Line:
    """One version's curve: points in the order in which they are joined."""

    version: int
    """The version's place, which gives its colour."""
    label: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class _Area:
    """Where points are drawn."""

    x: Scale
    y: Scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + self.x.place(x) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - self.y.place(y) * (_HEIGHT - _TOP - _BOTTOM),
        )


def curves_chart(name: str, lines: Sequence[Line], x_title: str, *, log: bool = False) -> Markup | None:
    """The chart of one metric; None where there is no logarithmic one to draw."""
    ys = [y for line in lines for y in line.ys]
    scale = logarithmic(ys, _Y_TICKS) if log else linear(ys, _Y_TICKS)
    if scale is None:
        return None
    area = _Area(linear([x for line in lines for x in line.xs], _X_TICKS, whole=True), scale)
    ticks = [(tick, area.x.label(tick)) for tick in area.x.ticks]
    spoken = _spoken(lines)
    said = f"{name} by {x_title}{', logarithmic' if log else ''}: " + "; ".join(spoken)
    drawn = [_curve(area, line, x_title, told) for line, told in zip(lines, spoken, strict=True)]
    return _svg(said, area, ticks, x_title, drawn)


def dots_chart(name: str, lines: Sequence[Line], labels: Sequence[str]) -> Markup:
    """The chart of a metric of which each version has one point: versions stand beside each other."""
    area = _Area(Scale(-0.5, len(labels) - 0.5, ()), linear([y for line in lines for y in line.ys], _Y_TICKS))
    ticks = [(float(place), label) for place, label in enumerate(labels)]
    placed = [Line(line.version, line.label, [float(line.version)], line.ys) for line in lines]
    spoken = _spoken(placed)
    said = f"{name} by version: " + "; ".join(spoken)
    drawn = [_curve(area, line, "", told) for line, told in zip(placed, spoken, strict=True)]
    return _svg(said, area, ticks, "version", drawn)


def sample(version: int) -> Markup:
    """A short piece of a version's line, for a legend."""
    line = element("line", x1=1, y1=6, x2=33, y2=6, class_=f"curve v{version}")
    return element("svg", line, viewBox="0 0 34 12", width=34, height=12, aria_hidden="true", focusable="false")


def _spoken(lines: Sequence[Line]) -> list[str]:
    """What a screen reader says of each curve."""
    lasts = numbers([line.ys[-1] if line.ys else None for line in lines])
    return [
        f"{line.label} {f'{len(line.ys)} points, ' if len(line.ys) > 1 else ''}last {last}"
        if line.ys
        else f"{line.label} no points"
        for line, last in zip(lines, lasts, strict=True)
    ]


def _svg(said: str, area: _Area, x_ticks: Sequence[tuple[float, str]], x_title: str, curves: Sequence[str]) -> Markup:
    left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM
    parts: list[str] = []
    for tick in area.y.ticks:
        y = _short(area.at(area.x.low, tick)[1])
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", area.y.label(tick), x=left - 6, y=y, class_="ytick"))
    for tick, label in x_ticks:
        x = _short(area.at(tick, area.y.low)[0])
        parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(element("text", label, x=x, y=bottom + 18, class_="xtick"))
    parts.append(element("path", d=f"M{left} {top}V{bottom}H{right}", class_="axis"))
    parts.append(element("text", x_title, x=(left + right) // 2, y=_HEIGHT - 5, class_="xtick"))
    body = joined([*parts, *curves])
    return element("svg", body, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=said, class_="chart")


def _curve(area: _Area, line: Line, x_title: str, spoken: str) -> Markup:
    """The line, dots where it has none, and marks at the edge; its title shows under the pointer."""
    drawn = [(*area.at(x, y), y) for x, y in zip(line.xs, line.ys, strict=True)]
    kind = f"curve v{line.version}"
    parts: list[str] = [element("title", spoken)]
    if path := _path(drawn):
        parts.append(element("path", d=path, class_=kind))
    single = _alone(drawn)
    before = 0.0
    for (x, y, value), where in zip(drawn, line.xs, strict=True):
        if math.isinf(value) and value == before:  # one mark for a row of them: the line is at the edge
            pass
        elif math.isinf(value):
            parts.append(_mark(x, y, value, f"v{line.version}", _told(line, where, value, x_title)))
        elif not math.isnan(value) and (len(drawn) <= _MOST_DOTS or (x, y) in single):
            title = element("title", _told(line, where, value, x_title))
            parts.append(element("circle", title, cx=_short(x), cy=_short(y), r=_DOT, class_=f"dot v{line.version}"))
        before = value
    return element("g", *parts)


def _told(line: Line, where: float, value: float, x_title: str) -> str:
    place = f" at {x_title} {where:g}" if x_title else ""
    return f"{line.label}{place}: {number(value)}"


def _path(drawn: Sequence[tuple[float, float, float]]) -> str:
    """Lines between points, broken where a value is NaN."""
    steps: list[str] = []
    joined_up = False
    for x, y, value in drawn:
        if math.isnan(value):
            joined_up = False
            continue
        steps.append(f"{'L' if joined_up else 'M'}{_short(x)} {_short(y)}")
        joined_up = True
    return "".join(steps) if any(step[0] == "L" for step in steps) else ""


def _alone(drawn: Sequence[tuple[float, float, float]]) -> set[tuple[float, float]]:
    """Points that no line reaches, as there is a gap on both sides."""
    gap = (0.0, 0.0, math.nan)
    around = [gap, *drawn, gap]
    return {
        (x, y)
        for (before, (x, y, value)), (_, after) in zip(pairwise(around[:-1]), pairwise(around[1:]), strict=True)
        if not math.isnan(value) and math.isnan(before[2]) and math.isnan(after[2])
    }


def _mark(x: float, y: float, value: float, kind: str, said: str) -> Markup:
    """A triangle that points the way the value went."""
    way = -1 if value > 0 else 1
    corners = ((0.0, way * _MARK), (_MARK, -way * _MARK / 2), (-_MARK, -way * _MARK / 2))
    outline = "L".join(f"{_short(x + right)} {_short(y + down)}" for right, down in corners)
    return element("path", element("title", said), d=f"M{outline}Z", class_=f"mark {kind}")


def _short(at: float) -> Markup:
    """A coordinate to a tenth of a unit."""
    return escaped(f"{at:.1f}".removesuffix(".0"))
