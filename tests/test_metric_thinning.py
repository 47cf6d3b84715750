"""Curves as arithmetic: what one is in short, and how a long one is thinned. No server."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

import weighbridge as wb
from weighbridge.core.curves import curves_of, joined, part
from weighbridge_server.domain.metrics.curves import completed, curves_digest, summary_with, thinned, without_first
from weighbridge_server.domain.metrics.ports import CurveSummary

NOW = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
VALUES = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0])


def curve(
    values: Sequence[float], steps: Sequence[int] | None = None, seconds: Sequence[int] | None = None
) -> wb.MetricCurve:
    points = [
        wb.MetricPoint(
            "loss", value, steps[at] if steps else at, NOW + timedelta(seconds=seconds[at] if seconds else at)
        )
        for at, value in enumerate(values)
    ]
    return curves_of(points, NOW)[0]


def cut(whole: wb.MetricCurve, at: Sequence[int]) -> Iterator[wb.MetricCurve]:
    """The curve in parts."""
    edges = sorted({0, len(whole), *(place % len(whole) for place in at)})
    for start, stop in itertools.pairwise(edges):
        yield part(whole, start, stop)


# -- in short ------------------------------------------------------------------------------------


def in_short(values: Sequence[float], steps: Sequence[int], seconds: Sequence[int]) -> CurveSummary:
    """As the protos say it, in plain words of Python."""
    step, second, at = max((step, second, at) for at, (step, second) in enumerate(zip(steps, seconds, strict=True)))
    numbers = [value for value in values if not math.isnan(value)] or [math.nan]
    time = NOW + timedelta(seconds=second)
    return CurveSummary("loss", values[at], step, time, min(numbers), max(numbers), len(values))


@given(
    st.lists(st.tuples(VALUES, st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), st.integers(0, 3)), min_size=1),
    st.lists(st.integers(0, 100)),
)
@example([(math.nan, 0, 0), (1.0, 0, 0)], [1])
@example([(1.0, 0, 0), (math.nan, 0, 0)], [1])
def test_a_summary_that_grows_is_that_of_the_whole_curve(points: list[tuple[float, int, int]], at: list[int]) -> None:
    values, steps, seconds = zip(*points, strict=True)
    summary: CurveSummary | None = None
    for piece in cut(curve(values, steps, seconds), at):
        summary = summary_with(summary, piece)
    assert repr(summary).replace("-0.0", "0.0") == repr(in_short(values, steps, seconds)).replace("-0.0", "0.0")


# -- thinned -------------------------------------------------------------------------------------


@given(st.lists(VALUES, min_size=1, max_size=300), st.integers(4, 60), st.lists(st.integers(0, 300), max_size=20))
@example([0.0] * 9, 4, [])
@example([math.nan] * 50, 8, [3, 4, 5])
@example([1.0, *[0.0] * 20, 9.0, *[0.0] * 20, 1.0], 4, [7])
def test_a_thinned_curve_keeps_its_ends_and_its_extremes_in_order(
    values: list[float], most: int, at: list[int]
) -> None:
    whole = curve(values)
    thin = joined(list(thinned(cut(whole, at), len(whole), most)))
    assert len(thin) <= most
    if len(whole) <= most:
        assert thin == whole
        return
    kept = thin.steps.tolist()  # the places in the whole
    assert kept == sorted(set(kept))
    assert thin == wb.MetricCurve("loss", whole.steps[kept], whole.times[kept], whole.values[kept])
    assert kept[0] == 0
    assert kept[-1] == len(whole) - 1
    for extreme in (np.fmin, np.fmax):
        assert np.array_equal(extreme.reduce(thin.values), extreme.reduce(whole.values), equal_nan=True)


@given(st.lists(VALUES, min_size=5, max_size=300), st.integers(4, 60), st.lists(st.integers(0, 300), max_size=20))
def test_it_is_the_same_whatever_parts_it_comes_in(values: list[float], most: int, at: list[int]) -> None:
    whole = curve(values)
    one, several = (list(thinned(parts, len(whole), most)) for parts in ([whole], cut(whole, at)))
    assert joined(several) == joined(one)


@given(st.integers(10, 1000), st.integers(4, 100), st.data())
def test_every_peak_of_one_point_is_seen(points: int, most: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, points - 1))
    values = [0.0] * points
    values[place] = 1.0
    assert place in joined(list(thinned([curve(values)], points, most))).steps


# -- what comes again, and what a request leaves out ------------------------------------------------


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 30))
def test_the_first_points_are_left_out_through_all_curves(lengths: list[int], count: int) -> None:
    curves = [wb.MetricCurve(str(at), *_columns(range(length))) for at, length in enumerate(lengths)]
    flat = [(item.name, step) for item in curves for step in item.steps.tolist()]
    rest = without_first(curves, count)
    assert [(item.name, step) for item in rest for step in item.steps.tolist()] == flat[count:]
    assert all(len(item) for item in rest)


def _columns(steps: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers = np.array(steps, np.int64)
    return numbers, numbers.view("datetime64[us]"), numbers.astype(np.float64)


def test_steps_and_times_that_a_request_leaves_out_are_0_and_now() -> None:
    nothing = np.array([], np.int64)
    bare = wb.MetricCurve("auc", nothing, nothing.view("datetime64[us]"), np.array([0.5, 0.6]))
    points = [wb.MetricPoint("auc", 0.5, 0, NOW), wb.MetricPoint("auc", 0.6, 0, NOW)]
    assert completed(bare, NOW) == curves_of(points, NOW)[0]


def test_a_digest_binds_names_steps_times_and_values() -> None:
    curves = [
        curve([0.5, 0.25]),
        curve([0.5, 0.125]),
        curve([0.5, 0.25], [0, 2]),
        curve([0.5, 0.25], None, [0, 2]),
        curve([0.5]),
        wb.MetricCurve("los", *_columns(range(2))),
        wb.MetricCurve("loss", *_columns(range(2))),
    ]
    assert len({curves_digest([item]) for item in curves}) == len(curves)
    assert curves_digest(curves) != curves_digest(curves[::-1])


def test_curves_are_equal_by_their_points() -> None:
    assert curve([math.nan, 1.0]) == curve([math.nan, 1.0])
    assert curve([math.nan, 1.0]) != curve([1.0, math.nan])
    assert curve([1.0]) != "a curve"
    assert len(curve([1.0, 2.0])) == 2
