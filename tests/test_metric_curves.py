"""Curves of metrics through the SDK: what is logged while training runs, and afterwards, is what is read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import weighbridge as wb
from weighbridge.core.curves import curves_of
from weighbridge.core.limits import METRIC_POINTS_PER_CALL

NewModel = Callable[[], str]
NOW = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
A_MILLION = 1_000_000


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def pushed(client: wb.Client, new_model: NewModel, weights: Path) -> str:
    """A version without metrics."""
    return client.push(new_model(), weights).version.ref


@contextmanager
def training(client: wb.Client, model: str, weights: Path) -> Iterator[wb.VersionInProgress]:
    """A block that commits one small file."""
    with client.begin(model, capture=False) as version:
        version.add(weights)
        yield version


def values(client: wb.Client, ref: str, name: str, **options: Any) -> list[float]:
    return client.metrics(ref, [name], **options)[name].values.tolist()  # type: ignore[no-any-return]


def events(client: wb.Client, ref: str, action: str) -> list[dict[str, Any]]:
    return [json.loads(event.after) for event in client.events(resource=ref, action=action)]


# -- while training runs -----------------------------------------------------------------------------


def test_what_is_logged_is_read_in_the_order_it_came(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    model = new_model()
    began = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
    losses = [0.5, math.nan, math.inf, -math.inf, 5e-324, -0.0, 0.25]
    with training(client, model, weights) as version:
        for step, loss in enumerate(losses):
            version.log_metric("loss", loss, step=step - 3)
        version.log_metrics({"accuracy": 1, "rate": np.float32(0.5)}, step=7)
        version.wait()  # what comes later is of another request
        version.log_metric("loss", 2, step=-100)
    curves = client.metrics(model)
    assert list(curves) == ["accuracy", "loss", "rate"]
    assert curves["loss"].values.tobytes() == np.array([*losses, 2.0]).tobytes()
    assert curves["loss"].steps.tolist() == [-3, -2, -1, 0, 1, 2, 3, -100]
    times = curves["loss"].times
    assert (times[:-1] <= times[1:]).all()
    assert began <= times[0]
    assert times[-1] <= np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
    assert (curves["rate"].values.tolist(), curves["rate"].steps.tolist()) == ([0.5], [7])
    assert client.version(model).metrics == (
        wb.MetricSummary("accuracy", 1.0, 7, 1, 1.0, 1.0),
        wb.MetricSummary("loss", 0.25, 3, 8, -math.inf, math.inf),
        wb.MetricSummary("rate", 0.5, 7, 1, 0.5, 0.5),
    )


def test_the_event_of_the_commit_counts_all_points(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    with training(client, new_model(), weights) as version:
        for step in range(100):
            version.log_metrics({"loss": 0.5, "rate": 0.1}, step)
    assert version.result is not None
    (committed,) = events(client, version.result.version.ref, "version.committed")
    assert committed["metric_points"] == 200


def test_a_curve_of_a_million_points(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    model = new_model()
    with training(client, model, weights) as version:
        for step in range(A_MILLION):
            version.log_metric("loss", step * 0.5, step)
    (curve,) = client.metrics(model).values()
    assert np.array_equal(curve.steps, np.arange(A_MILLION))
    assert np.array_equal(curve.values, np.arange(A_MILLION) * 0.5)
    thin = client.metrics(model, most_points=1000)["loss"]
    assert len(thin) <= 1000
    assert thin.steps[[0, -1]].tolist() == [0, A_MILLION - 1]
    assert np.array_equal(thin.values, thin.steps * 0.5)
    assert client.version(model).metrics == (
        wb.MetricSummary("loss", (A_MILLION - 1) / 2, A_MILLION - 1, A_MILLION, 0.0, (A_MILLION - 1) / 2),
    )


@pytest.mark.parametrize(
    ("point", "violation"),
    [
        (("", 0.5, 1), "has an empty name"),
        (("n" * 257, 0.5, 1), "more than 256 bytes"),
        (("a\0b", 0.5, 1), "NUL"),
        ((7, 0.5, 1), "is a int, not text"),
        ((["loss"], 0.5, 1), "is a list, not text"),
        (("loss", "high", 1), "has the value 'high', which is not a number"),
        (("loss", None, 1), "has the value 'None', which is not a number"),
        (("loss", 10**400, 1), "which is not a number"),
        (("loss", 0.5, "last"), "has the step 'last', which is not a whole number"),
        (("loss", 0.5, math.nan), "has the step 'nan', which is not a whole number"),
        (("loss", 0.5, 1.9), "has the step '1.9', which is not a whole number"),
        (("loss", 0.5, "7"), "has the step '7', which is not a whole number"),
        (("loss", 0.5, np.float32(2.5)), "has the step '2.5', which is not a whole number"),
        (("loss", 0.5, 2**63), "which 64 bits do not hold"),
    ],
)
def test_a_point_that_cannot_be_taken_is_refused_at_once(
    client: wb.Client, new_model: NewModel, weights: Path, point: Any, violation: str
) -> None:
    model = new_model()
    with training(client, model, weights) as version:
        version.log_metric("good", 1.0)
        with pytest.raises(wb.InvalidRequest) as refused:
            version.log_metric(*point)
        assert [violation in item.message for item in refused.value.violations] == [True]
        if isinstance(point[0], str):
            with pytest.raises(wb.InvalidRequest):
                version.log_metrics({"other": 0.5, point[0]: point[1]}, point[2])
    assert [item.name for item in client.version(model).metrics or ()] == ["good"]


def test_steps_that_are_computed_are_taken_where_they_are_whole(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    model = new_model()
    with training(client, model, weights) as version:
        for step in (1, 2.0, np.int64(3), np.float32(4.0)):
            version.log_metric("loss", 0.5, step)  # type: ignore[arg-type]
    (curve,) = client.metrics(model).values()
    assert list(curve.steps) == [1, 2, 3, 4]


def test_of_several_metrics_everything_wrong_is_listed(client: wb.Client, new_model: NewModel) -> None:
    version = client.begin(new_model(), capture=False)
    with pytest.raises(wb.InvalidRequest) as refused:
        version.log_metrics({"": 0.5, "loss": "high", "good": 1.0}, 2**70)  # type: ignore[dict-item]
    assert len(refused.value.violations) == 5  # the step is wrong for each
    version.abort()


def test_a_push_that_is_refused_for_its_metrics_has_changed_nothing(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    model = new_model()
    with pytest.raises(wb.InvalidRequest) as refused:
        client.push(model, weights, metrics={"": 0.5, "loss": "high", "good": 1.0})  # type: ignore[dict-item]
    assert len(refused.value.violations) == 2
    with pytest.raises(wb.ModelNotFound):
        client.model(model)


POINTS = st.tuples(
    st.sampled_from(["a", "b", "loss/train", "损失"]),
    st.floats() | st.sampled_from([math.nan, 1.0]),
    st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(0, 3),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(POINTS, min_size=1, max_size=40), min_size=1, max_size=4))
def test_summaries_are_those_of_the_points(
    client: wb.Client, pushed: str, calls: list[list[tuple[str, float, int, int | None]]]
) -> None:
    ref = client.push(pushed.partition(":")[0], "/etc/hostname").version.ref
    every: dict[str, list[tuple[int, datetime, int, float]]] = {}
    for points in calls:
        given_points = [
            wb.MetricPoint(name, value, step, NOW + timedelta(seconds=second or 0))
            for name, value, step, second in points
        ]
        client.log_metrics(ref, given_points)
        for point in given_points:
            of_name = every.setdefault(point.name, [])
            of_name.append((point.step, point.time or NOW, len(of_name), point.value))
    expected = []
    for name, of_name in sorted(every.items(), key=lambda item: item[0].encode()):
        step, _, _, latest = max(of_name, key=lambda item: item[:3])
        numbers = [value for *_, value in of_name if not math.isnan(value)] or [math.nan]
        expected.append(wb.MetricSummary(name, latest, step, len(of_name), min(numbers), max(numbers)))
    assert repr(client.version(ref).metrics).replace("-0.0", "0.0") == repr(tuple(expected)).replace("-0.0", "0.0")
    for name, curve in client.metrics(ref).items():
        assert repr(curve.values.tolist()) == repr([value for *_, value in every[name]])


# -- afterwards --------------------------------------------------------------------------------------


def test_late_points_are_one_event_with_count_and_digest(client: wb.Client, pushed: str) -> None:
    points = [
        wb.MetricPoint("auc", 0.5, 1, NOW),
        wb.MetricPoint("auc", 0.75, 2, NOW),
        wb.MetricPoint("f1", 0.25, 0, NOW),
    ]
    client.log_metrics(pushed, points)
    client.log_metrics(pushed, [wb.MetricPoint("auc", math.nan, 3, NOW)])
    first, second = events(client, pushed, "version.metrics-logged")
    assert (first["points"], first["metrics"], first["metrics_total"]) == (3, ["auc", "f1"], 2)
    assert (second["points"], second["metrics"]) == (1, ["auc"])
    assert first["points_digest"] == points_digest(points)
    assert second["points_digest"] != first["points_digest"]
    assert repr(values(client, pushed, "auc")) == "[0.5, 0.75, nan]"


def points_digest(points: Sequence[wb.MetricPoint]) -> str:
    """As SPEC.md has it, without the server's code."""
    from blake3 import blake3

    digest = blake3()
    for curve in curves_of(points, NOW):
        name = curve.name.encode()
        digest.update(len(name).to_bytes(4, "little") + len(curve).to_bytes(8, "little") + name)
        for step in curve.steps.tolist():
            digest.update(step.to_bytes(8, "little", signed=True))
        for time in curve.times.astype("int64").tolist():
            digest.update(time.to_bytes(8, "little", signed=True))
        digest.update(curve.values.tobytes())
    return f"b3:{digest.hexdigest()}"


def test_more_late_points_than_a_call_has_are_all_added(client: wb.Client, pushed: str) -> None:
    name = pushed.partition(":")[0]
    points = [wb.MetricPoint("loss", step, step, NOW) for step in range(METRIC_POINTS_PER_CALL + 10)]
    client.log_metrics(name, points)
    assert [event["points"] for event in events(client, pushed, "version.metrics-logged")] == [
        METRIC_POINTS_PER_CALL,
        10,
    ]
    assert values(client, pushed, "loss") == [float(step) for step in range(METRIC_POINTS_PER_CALL + 10)]


def test_a_late_point_without_a_time_is_of_now(client: wb.Client, pushed: str) -> None:
    began = datetime.now(UTC).replace(tzinfo=None)
    client.log_metrics(pushed, [wb.MetricPoint("auc", 0.5)])
    assert began <= client.metrics(pushed)["auc"].times[0].item() <= datetime.now(UTC).replace(tzinfo=None)


def test_late_points_that_cannot_be_taken_change_nothing(client: wb.Client, pushed: str) -> None:
    high: Any = "high"
    for points in (
        [],
        [wb.MetricPoint("", 0.5)],
        [wb.MetricPoint("auc", high)],
        [wb.MetricPoint("auc", 0.5), wb.MetricPoint("auc", 0.5, 2**63)],
    ):
        with pytest.raises((wb.InvalidRequest, wb.UsageError)):
            client.log_metrics(pushed, points)
    with pytest.raises(wb.VersionNotFound):
        client.log_metrics(f"{pushed}9", [wb.MetricPoint("auc", 0.5)])
    assert client.metrics(pushed) == {}
    assert events(client, pushed, "version.metrics-logged") == []


def test_a_deleted_version_takes_no_points_and_shows_none(client: wb.Client, pushed: str) -> None:
    client.log_metrics(pushed, [wb.MetricPoint("auc", 0.5)])
    client.delete_version(pushed, reason="wrong data")
    with pytest.raises(wb.VersionDeleted):
        client.log_metrics(pushed, [wb.MetricPoint("auc", 0.75)])
    with pytest.raises(wb.VersionDeleted):
        client.metrics(pushed)
    client.restore_version(pushed)
    assert values(client, pushed, "auc") == [0.5]


# -- reading -----------------------------------------------------------------------------------------


def test_metrics_are_read_by_name_and_thinned(client: wb.Client, pushed: str) -> None:
    points = [wb.MetricPoint(name, step % 10, step, NOW) for step in range(100) for name in ("a", "b", "ü")]
    client.log_metrics(pushed, points)
    assert list(client.metrics(pushed)) == ["a", "b", "ü"]
    assert list(client.metrics(pushed, ["ü", "no such metric", "a"])) == ["a", "ü"]
    thin = client.metrics(pushed, ["a", "b"], most_points=4)
    assert [curve.steps.tolist() for curve in thin.values()] == [[0, 9, 10, 99]] * 2
    assert len(client.metrics(pushed, most_points=100)["a"]) == 100


def test_what_cannot_be_asked_is_refused(client: wb.Client, pushed: str) -> None:
    for most_points in (1, 2, 3, 1_000_001):
        with pytest.raises(wb.InvalidRequest) as refused:
            client.metrics(pushed, most_points=most_points)
        assert [item.path for item in refused.value.violations] == ["most_points"]
    with pytest.raises(wb.UsageError, match="most_points is -1"):
        client.metrics(pushed, most_points=-1)
    with pytest.raises(wb.UsageError, match=r"such as \['loss'\]"):
        client.metrics(pushed, "loss")
    with pytest.raises(wb.InvalidReference):
        client.metrics("a.b.c:zero")
