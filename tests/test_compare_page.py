"""The page: whole in itself, unbreakable by any text, with every curve and nothing but the curves."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weighbridge as wb
from comparison_fixtures import beside, made_version
from weighbridge.core.curves import MetricCurve
from weighbridge.core.values import MetricSummary, Record
from weighbridge.report.chart import Line, curves_chart
from weighbridge.report.curves import MOST_CHARTS, Curves, charted, points_per_curve
from weighbridge.report.page import comparison_page
from weighbridge.report.scale import linear, logarithmic, short_number
from weighbridge.report.style import STYLE

HOSTILE = (
    "<script>alert('x')</script>\"'&amp; 🚚 \x1b[31m\x00\u202eright</td><img src=//evil.example/x onerror=alert(1)>"
)
INF, NAN = math.inf, math.nan
VOID = {"meta", "line", "path", "circle"}
Element = tuple[str, dict[str, str | None]]


@dataclass
class Page(HTMLParser):
    """What a page holds; an end that does not fit its beginning fails the test."""

    text: str
    elements: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self.feed(self.text)
        self.close()
        assert self.path == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.path.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.path.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.path and self.path[-1] != "style":
            self.texts.append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind, whose attributes hold these words."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag
            and all(word in (attributes.get(key.rstrip("_").replace("_", "-")) or "") for key, word in wanted.items())
        ]


def curve(name: str, values: Iterable[float], steps: Iterable[int] | None = None) -> MetricCurve:
    array = np.array(list(values), np.float64)
    at = np.arange(len(array)) if steps is None else np.array(list(steps), np.int64)
    return MetricCurve(name, at, np.zeros(len(array), "datetime64[us]"), array)


def compared(curves: Sequence[Mapping[str, Sequence[float]]], *records: Record) -> tuple[wb.Comparison, Curves]:
    """Versions with these curves."""
    drawn = [{name: curve(name, values) for name, values in of.items()} for of in curves]
    summaries = [
        [MetricSummary(name, values[-1], 0, len(values), min(values), max(values)) for name, values in of.items()]
        for of in curves
    ]
    versions = [
        replace(made_version(place + 1, records[place] if records else None), metrics=metrics)
        for place, metrics in enumerate(summaries)
    ]
    return beside(versions), drawn


def page(curves: Sequence[Mapping[str, Sequence[float]]], *records: Record) -> Page:
    return Page(comparison_page(*compared(curves, *records), "127.0.0.1:8420"))


def vertices(of: Mapping[str, str | None]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", of["d"] or "")]


# -- in itself -------------------------------------------------------------------------------------


RECORDS = [
    Record(
        description=HOSTILE,
        params={HOSTILE: text},
        tags={f"{HOSTILE}2": text},
        datasets=[wb.Dataset(HOSTILE, text, uri="https://data.example/x")],
        parents=[wb.Parent(f"a.b.c:{number}")],
        source=wb.SourceCode(repository="https://git.example/x.git", commit=text, command=[HOSTILE, text]),
        environment=wb.Environment(python=text, packages={HOSTILE: text}),
        energy=wb.Energy(kwh=number, region=HOSTILE),
        signature=wb.Signature([wb.TensorSpec(HOSTILE, "f", (number,))]),
    )
    for number, text in enumerate((HOSTILE, f"{HOSTILE}!"))
]


def test_text_from_outside_stays_text() -> None:
    made = page([{HOSTILE: [1.0, 2.0]}, {HOSTILE: [0.5, 1.0]}], *RECORDS)
    assert {name for name, _ in made.elements}.isdisjoint({"script", "img", "iframe", "object", "link", "base", "form"})
    told = "".join(made.texts)
    assert told.count("<script>alert('x')</script>\"'&amp; 🚚 ") > 20
    assert "\x1b" not in made.text
    assert "\x00" not in made.text
    assert "\u202e" not in made.text
    assert not [key for _, attributes in made.elements for key in attributes if key.startswith("on") or key == "style"]


def test_nothing_is_asked_for_and_nothing_runs() -> None:
    made = page([{"loss": [1.0, 2.0]}, {"loss": [0.5, 1.0]}], *RECORDS)
    links = ("href", "src", "srcset", "action", "data", "poster", "xlink:href", "background", "ping")
    assert not [attributes for _, attributes in made.elements if set(attributes) & set(links)]
    assert not re.search(r"url\(|@import|expression\(", STYLE)
    (policy,) = (meta["content"] or "" for meta in made.all("meta", http_equiv="Content-Security-Policy"))
    assert policy.startswith("default-src 'none'")
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script-src" not in policy
    assert f"<style>{STYLE}</style>" in made.text
    assert len(made.all("style")) == 1


def test_tables_and_charts_are_told_to_those_who_do_not_see_them() -> None:
    made = page([{"loss": [1.0, 2.0], "auc": [0.5]}, {"loss": [0.5, 3.0]}], *RECORDS)
    assert made.all("html", lang="en")
    assert {head.get("scope") for head in made.all("th")} == {"col", "row"}
    charts = made.all("svg", class_="chart")
    assert [chart["role"] for chart in charts] == ["img", "img"]
    assert charts[1]["aria-label"] == "loss by step: :1 2 points, last 2; :2 2 points, last 3"
    assert all(sample["aria-hidden"] == "true" for sample in made.all("svg") if sample not in charts)


def test_suspects_and_values_are_on_the_page() -> None:
    first, second = Record(params={"lr": 0.001, "layers": 12}), Record(params={"lr": 0.01, "layers": 12})
    made = page([{"auc": [0.93]}, {"auc": [0.91]}], first, second)
    told = "\n".join(made.texts)
    for said in ("why auc may be worse in :2", "lr 0.001 -> 0.01", "worse ▼", "-0.02", "1 that does not differ"):
        assert said in told
    assert "Nothing differs" not in told
    same = page([{"auc": [0.93]}, {"auc": [0.93]}], first, first)
    assert "Nothing differs" in "\n".join(same.texts)


def test_books_have_no_direction_on_the_page() -> None:
    made = page([{"epoch": [3.0]}, {"epoch": [9.0]}])
    assert {" neither way is better", "+6 "} <= set(made.texts)
    assert {"better ▲", "worse ▼", "same"}.isdisjoint(made.texts)
    assert not made.all("div", class_="suspects")


def test_versions_of_several_models_have_letters() -> None:
    versions = [made_version(1), made_version(1, model="vision.other.resnet"), made_version(1)]
    told = Page(comparison_page(beside(versions), [{}, {}, {}], "x")).texts
    assert [text for text in told if ":1" in text and "." in text] == [
        "A: fraud.tabular.transformer:1",
        "B: vision.other.resnet:1",
        "C: fraud.tabular.transformer:1",
    ]


# -- curves ----------------------------------------------------------------------------------------


def test_the_curves_of_all_versions_are_drawn_over_each_other() -> None:
    curves = [{"loss": [float(number % 7) for number in range(count)]} for count in (40, 50, 60)]
    made = page(curves)
    assert len(made.all("svg", class_="chart")) == 1
    paths = made.all("path", class_="curve")
    assert [len(vertices(path)) for path in paths] == [40, 50, 60]
    assert [path["class"] for path in paths] == ["curve v0", "curve v1", "curve v2"]
    xs, ys = zip(*vertices(paths[2]), strict=True)
    assert list(xs) == sorted(xs)
    assert ys[6] < ys[0], "more is higher up"
    assert len(made.all("line", class_="curve")) == 3, "the legend"
    assert not made.all("circle")


def test_a_short_curve_has_dots_whose_numbers_can_be_read() -> None:
    made = page([{"loss": [3.0, 2.0, 1.0]}, {"loss": [3.5]}])
    assert len(made.all("circle", class_="v0")) == 3
    assert len(made.all("circle", class_="v1")) == 1
    assert ":1 at step 1: 2" in made.texts


def test_what_came_in_another_order_is_drawn_by_step() -> None:
    comparison, _ = compared([{"loss": [1.0, 2.0, 3.0]}] * 2)
    curves = [{"loss": curve("loss", [3.0, 1.0, 2.0], [300, 100, 200])}] * 2
    (first, _second) = Page(comparison_page(comparison, curves, "x")).all("path", class_="curve")
    xs, ys = zip(*vertices(first), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)


def test_points_without_steps_stand_in_the_order_they_came() -> None:
    comparison, _ = compared([{"loss": [1.0, 2.0]}] * 2)
    curves = [{"loss": curve("loss", [3.0, 1.0, 2.0], [0, 0, 0])}] * 2
    made = Page(comparison_page(comparison, curves, "x"))
    (first, _second) = made.all("path", class_="curve")
    assert len({x for x, _ in vertices(first)}) == 3
    assert "point" in made.texts


def test_metrics_of_one_point_stand_beside_each_other() -> None:
    made = page([{"auc": [0.9]}, {"auc": [0.8]}, {"other": [1.0]}])
    (auc,) = made.all("svg", class_="chart", aria_label="auc")
    assert auc["aria-label"] == "auc by version: :1 last 0.9; :2 last 0.8"
    dots = made.all("circle")
    assert len(dots) == 3
    assert len({dot["cx"] for dot in dots}) == 3
    assert not made.all("path", class_="curve")


def test_a_nan_is_a_gap_and_a_lone_point_a_dot() -> None:
    values = [1.0] * 40 + [NAN] + [2.0] + [NAN] * 3 + [3.0] * 40
    made = page([{"loss": values}, {"loss": [1.0] * 40}])
    path = made.all("path", class_="v0")[0]
    assert (path["d"] or "").count("M") == 3
    assert len(vertices(path)) == 81
    assert len(made.all("circle", class_="v0")) == 1


def test_an_infinity_stands_at_the_edge_and_is_marked() -> None:
    made = page([{"loss": [1.0, 2.0, INF, INF, 1.0, -INF]}, {"loss": [1.0, 2.0]}])
    marks = made.all("path", class_="mark")
    assert [mark["class"] for mark in marks] == ["mark v0", "mark v0"]
    assert ":1 at step 2: inf" in made.texts
    path = made.all("path", class_="curve v0")[0]
    ys = [y for _, y in vertices(path)]
    assert len(ys) == 6
    assert ys[2] == ys[3] == min(ys)
    assert ys[5] == max(ys)


def test_nothing_but_nan_draws_axes_and_no_points_and_says_so() -> None:
    made = page([{"loss": [NAN, NAN]}, {"loss": [NAN]}])
    assert "nothing to draw of :1 and :2: every value is NaN" in made.texts
    for curves in ([{"loss": [NAN, NAN]}, {"loss": [1.0, 2.0]}], [{"loss": [NAN]}, {"loss": [1.0]}]):
        assert "nothing to draw of :1: every value is NaN" in page(curves).texts
    assert "every value is NaN" not in "".join(page([{"loss": [NAN, 1.0]}, {"loss": [1.0]}]).texts)
    assert len(made.all("svg", class_="chart")) == 1
    assert not made.all("path", class_="curve")
    assert not made.all("circle")


def test_what_spans_decades_has_a_logarithmic_chart_too() -> None:
    made = page([{"loss": [100.0, 10.0, 1.0, 0.1]}, {"loss": [50.0, 1.0]}])
    assert len(made.all("svg", class_="chart")) == 2
    assert "on a logarithmic scale" in made.texts
    (log,) = made.all("svg", aria_label="logarithmic")
    ys = [y for _, y in vertices(made.all("path", class_="curve v0")[1])]
    steps = [after - before for before, after in pairwise(ys)]
    assert max(steps) - min(steps) < 0.3, "equal factors are equal steps"
    assert len(page([{"loss": [100.0, 0.0]}, {"loss": [1.0]}]).all("svg", class_="chart")) == 1
    assert log["role"] == "img"


def test_sixteen_lines_look_different() -> None:
    looks = re.findall(r"\.v(\d+)\{--c:var\((--c\d)\);stroke-dasharray:([^}]*)\}", STYLE)
    assert [number for number, _, _ in looks] == [str(number) for number in range(16)]
    assert len({(colour, dashes) for _, colour, dashes in looks}) == 16
    for one, other in pairwise(looks):
        assert one[1] != other[1]
        assert one[2] != other[2]


def test_a_page_of_many_curves_stays_small() -> None:
    names = [f"metric {number}" for number in range(50)]
    flat = [{name: [0.0, 1.0] for name in names}] * 16
    most = points_per_curve(compared(flat)[0])
    assert most >= 100
    values = list(np.random.default_rng(1).normal(size=most))
    text = comparison_page(*compared([dict.fromkeys(names, values)] * 16), "x")
    assert len(text.encode()) < 3_000_000
    assert len(Page(text).all("path", class_="curve")) == 50 * 16


def test_of_very_many_metrics_the_first_are_drawn_and_it_says_so() -> None:
    curves = [{f"m{number:04}": [1.0] for number in range(MOST_CHARTS + 20)}] * 2
    comparison, drawn = compared(curves)
    made = Page(comparison_page(comparison, drawn, "x"))
    assert len(made.all("svg", class_="chart")) == MOST_CHARTS == len(charted(comparison))
    assert "20 more are not drawn" in "".join(made.texts)
    assert points_per_curve(comparison) == 600


# -- axes ------------------------------------------------------------------------------------------

FLOATS = st.floats()


@given(st.lists(FLOATS, max_size=20), st.sampled_from([linear, logarithmic]))
def test_an_axis_holds_any_values(values: list[float], kind: Callable[[Sequence[float], int], object]) -> None:
    scale = linear(values, 6) if kind is linear else logarithmic(values, 6)
    if scale is None:
        return
    assert math.isfinite(scale.low)
    assert scale.low < scale.high
    assert 0 < len(scale.ticks) <= 7
    labels = [scale.label(tick) for tick in scale.ticks]
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) < 20
    for value in [*values, *scale.ticks]:
        if not math.isnan(value):
            assert 0 <= scale.place(value) <= 1


@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), FLOATS), max_size=40))
def test_any_curve_can_be_drawn(points: list[tuple[float, float]]) -> None:
    line = Line(0, ":1", [x for x, _ in points], [y for _, y in points])
    chart = curves_chart("m", [line], "step")
    assert chart is not None
    assert "nan" not in re.sub(r"<title>[^<]*</title>|aria-label=\"[^\"]*\"", "", chart)
    for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", chart):
        assert -10 <= float(x) <= 490
        assert -10 <= float(y) <= 260


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([0.93, 0.91], ["0.91", "0.915", "0.92", "0.925", "0.93"]),
        ([0, 100_000], ["0", "20k", "40k", "60k", "80k", "100k"]),
        ([0, 1_234_567], ["0", "500k", "1M"]),
        ([1e-7, 3e-7], ["1e-7", "1.5e-7", "2e-7", "2.5e-7", "3e-7"]),
        ([1000, 1200], ["1000", "1050", "1100", "1150", "1200"]),
        ([-3, 7], ["-2", "0", "2", "4", "6"]),
        ([5, 5], ["4.6", "4.8", "5", "5.2", "5.4"]),
        ([], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
)
def test_ticks_are_round_numbers(values: list[float], labels: list[str]) -> None:
    scale = linear(values, 6)
    assert [scale.label(tick) for tick in scale.ticks] == labels


def test_steps_are_whole_numbers() -> None:
    assert linear([0, 2], 6, whole=True).ticks == [0, 1, 2]
    assert [short_number(value) for value in (0.0, INF, 12_345.678, 0.000123456, 99.99999)] == [
        "0",
        "inf",
        "12.35k",
        "0.0001235",
        "100",
    ]
