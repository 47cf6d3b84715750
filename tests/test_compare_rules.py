"""Which way metrics are better, what differs, and that comparing is fair: nothing against itself, alike both ways."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

import weighbridge as wb
from comparison_fixtures import beside, made_version, two
from weighbridge.core.direction import Direction, check_directions, direction, tells_cost
from weighbridge.core.values import MetricSummary, Record

INF, NAN = math.inf, math.nan

LOWER = """
    loss val_loss valLoss eval/loss Cross_Entropy eval/cross-entropy log-loss logloss error top1_error ERR RMSE mse
    MAE@5 mape perplexity ppl bits_per_byte WER cer fpr fpr_at_recall_95 FNR brier brier_score ECE fid auc_loss 🚚loss
""".split()
COST = """
    latency latency_p99 p99_ms inferenceLatencyMs ms_per_token step_time train_runtime train_time_s duration_seconds
    peak_memory_bytes size_mb kWh energy_kwh gCO2e cost cost_per_inference
""".split()
HIGHER = """
    auc accuracy acc F1Score R2 mAP mAP50 bleu recall@fpr=0.01 precision_at_error_5 reward error_detection_accuracy
    loss_auc score Genauigkeit 🚚 @ _ terror_detections glossary
""".split()
RATES = ["tokens_per_second", "tokens/s", "samples/sec", "throughput", "fps", "bytes_per_second"]


@pytest.mark.parametrize("name", [*LOWER, *COST])
def test_less_is_better(name: str) -> None:
    assert direction(name) is Direction.LOWER
    assert tells_cost(name) is (name in COST)


@pytest.mark.parametrize("name", [*HIGHER, *RATES])
def test_more_is_better(name: str) -> None:
    assert direction(name) is Direction.HIGHER
    assert tells_cost(name) is (name in RATES)


@given(st.text())
def test_any_name_has_a_direction(name: str) -> None:
    assert direction(name) in Direction
    assert direction(f"{name}_loss_") is Direction.LOWER or any(
        word in name.lower() for word in ("at", "@", "per", "neg")
    )


def test_a_metric_cannot_be_better_both_ways() -> None:
    check_directions(["a", "b"], ["c"])
    with pytest.raises(wb.InvalidRequest) as raised:
        check_directions(["b", "a", "c"], ["a", "b"])
    assert [item.path for item in raised.value.violations] == ["lower_is_better.a", "lower_is_better.b"]


def test_a_caller_knows_better_than_a_name() -> None:
    versions = [made_version(1, metrics={"loss": 1.0, "auc": 1.0}), made_version(2, metrics={"loss": 2.0, "auc": 2.0})]
    assert [(one.name, one.better[1]) for one in beside(versions).metrics] == [("auc", True), ("loss", False)]
    turned = beside(versions, lower=["auc", "absent"], higher=["loss"]).metrics
    assert [(one.name, one.lower_is_better, one.better[1]) for one in turned] == [
        ("auc", True, False),
        ("loss", False, True),
    ]


@pytest.mark.parametrize(
    ("first", "second", "difference", "better"),
    [
        (1.0, 3.0, 2.0, True),
        (3.0, 1.0, -2.0, False),
        (1.0, 1.0, 0.0, None),
        (0.0, -0.0, 0.0, None),
        (1.0, NAN, None, False),
        (NAN, 1.0, None, True),
        (NAN, NAN, None, None),
        (1.0, INF, INF, True),
        (1.0, -INF, -INF, False),
        (-INF, INF, INF, True),
        (INF, INF, None, None),
        (INF, NAN, None, False),
        (1.0, None, None, None),
        (None, 1.0, None, None),
        (NAN, None, None, None),
        (1.7e308, -1.7e308, -INF, False),
    ],
)
def test_differences(first: float | None, second: float | None, difference: float | None, better: bool | None) -> None:
    metrics = ({} if first is None else {"auc": first}, {} if second is None else {"auc": second})
    (metric,) = two(metrics=metrics).metrics
    assert metric.differences[1] == difference
    assert metric.better == (None, better)
    assert [value is None for value in metric.values] == [first is None, second is None]


def test_versions_without_metrics_have_none_and_nothing_is_suspected() -> None:
    comparison = two(Record(params={"lr": 1}), Record(params={"lr": 2}), metrics=({}, {}))
    assert comparison.metrics == ()
    assert comparison.suspects == ()
    assert [one.differs for one in comparison.params] == [True]


def test_the_newest_value_counts() -> None:
    first, second = made_version(1), made_version(2)
    curves = [[MetricSummary("loss", 0.3, 9, 10, 0.1, 2.0)], [MetricSummary("loss", 0.2, 9, 10, 0.2, 2.0)]]
    versions = [
        wb.Version(**{**vars(one), "metrics": curve}) for one, curve in zip((first, second), curves, strict=True)
    ]
    (metric,) = beside(versions).metrics
    assert metric.better == (None, True)
    assert metric.values == (curves[0][0], curves[1][0])


def test_of_very_many_metrics_the_first_are_listed_and_the_others_counted() -> None:
    many = {f"m{number:05}": 1.0 for number in range(1500)}
    pair = beside([made_version(1, metrics=many), made_version(2, metrics=many)])
    assert (len(pair.metrics), pair.metrics_left_out) == (1000, 500)
    assert pair.metrics[0].name == "m00000"
    sixteen = beside([made_version(number, metrics=many) for number in range(1, 17)])
    assert (len(sixteen.metrics), sixteen.metrics_left_out) == (500, 1000)


@pytest.mark.parametrize(
    ("one", "other", "differs"), [(1, 1.0, False), (1, True, True), (0, False, True), ("1", 1, True)]
)
def test_values_that_mean_the_same_do_not_differ(one: wb.Scalar, other: wb.Scalar, differs: bool) -> None:
    (field,) = two(Record(params={"p": one}), Record(params={"p": other})).params
    assert field.differs is differs
    assert [type(value) for value in field.values] == [type(one), type(other)]


def test_what_was_not_recorded_is_no_difference_but_what_is_missing_is() -> None:
    recorded = Record(
        params={"lr": 1},
        source=wb.SourceCode(commit="c"),
        environment=wb.Environment(python="3.11", packages={"a": "1"}),
        energy=wb.Energy(kwh=1.0),
        signature=wb.Signature([wb.TensorSpec("x", "int8", (-1, 2))]),
    )
    comparison = two(recorded, Record())
    for part in (comparison.source, comparison.environment, comparison.energy, comparison.signature):
        assert part
        assert all(not field.differs and field.values[1] is None for field in part)
    assert comparison.packages == ()
    assert [field.differs for field in comparison.params] == [True]
    assert comparison.signature[0].values == ("int8 [-1, 2]", None)


def test_datasets_of_one_name_are_told_apart_by_their_role() -> None:
    first = Record(datasets=[wb.Dataset("t", "1", role="train"), wb.Dataset("t", "1", role="test"), wb.Dataset("u")])
    second = Record(datasets=[wb.Dataset("t", "2", role="train"), wb.Dataset("t", "1", role="test")])
    assert [(field.name, field.values, field.differs) for field in two(first, second).datasets] == [
        ("t (test)", ("1", "1"), False),
        ("t (train)", ("1", "2"), True),
        ("u", ("", None), True),
    ]


# -- properties ------------------------------------------------------------------------------------

TEXTS = st.text(max_size=8)
NAMES = st.sampled_from(["a", "b", "lr", "seed"])
SCALARS = st.one_of(TEXTS, st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
METRICS = st.dictionaries(st.sampled_from(["loss", "auc", "latency", "x"]), st.floats(), max_size=4)
RECORDS = st.builds(
    Record,
    description=TEXTS,
    params=st.dictionaries(NAMES, SCALARS, max_size=3),
    tags=st.dictionaries(st.sampled_from(["dataset_version", "hardware_target"]), SCALARS, max_size=2),
    datasets=st.lists(st.builds(wb.Dataset, NAMES, TEXTS, TEXTS, TEXTS, TEXTS), max_size=3),
    parents=st.lists(st.builds(wb.Parent, NAMES, st.sampled_from(wb.Relation)), max_size=2),
    source=st.none()
    | st.builds(
        wb.SourceCode,
        commit=TEXTS,
        dirty=st.booleans(),
        diff_digest=TEXTS,
        untracked_digest=TEXTS,
        entry_point=TEXTS,
        command=st.lists(st.sampled_from(["python", "train.py", "--lr", "-3", "--out=x", "--amp", "7"])),
    ),
    environment=st.none()
    | st.builds(
        wb.Environment,
        python=TEXTS,
        platform=TEXTS,
        lock_digest=TEXTS,
        accelerators=st.lists(st.builds(wb.Accelerator, NAMES), max_size=2),
        packages=st.dictionaries(NAMES, TEXTS, max_size=3),
    ),
    energy=st.none() | st.builds(wb.Energy, kwh=st.none() | st.floats(0, 9), region=TEXTS),
)


def parts_of(comparison: wb.Comparison) -> dict[str, list[wb.FieldDifference]]:
    """Every list of fields."""
    lists = {one.name: getattr(comparison, one.name) for one in fields(comparison)}
    return {
        name: list(part)
        for name, part in lists.items()
        if isinstance(part, tuple) and part and isinstance(part[0], wb.FieldDifference)
    }


@given(RECORDS, METRICS, st.integers(2, 4))
def test_a_version_beside_itself_differs_in_nothing(record: Record, metrics: dict[str, float], count: int) -> None:
    comparison = beside([made_version(1, record, metrics)] * count)
    assert not [field for part in parts_of(comparison).values() for field in part if field.differs]
    assert not comparison.description.differs
    assert comparison.packages == ()
    assert comparison.suspects == ()
    for metric in comparison.metrics:
        assert set(metric.better) == {None}
        assert set(metric.differences) <= {0.0, None}


@given(RECORDS, METRICS, RECORDS, METRICS)
def test_it_is_the_same_from_the_other_side(
    first: Record, metrics: dict[str, float], second: Record, others: dict[str, float]
) -> None:
    here, there = made_version(1, first, metrics), made_version(2, second, others)
    one, other = beside([here, there]), beside([there, here])
    assert parts_of(one).keys() == parts_of(other).keys()
    for name, part in parts_of(one).items():
        turned = [(field.name, field.values[::-1], field.differs) for field in parts_of(other)[name]]
        assert [(field.name, field.values, field.differs) for field in part] == turned
    for mine, its in zip(one.metrics, other.metrics, strict=True):
        assert mine.better[1] is (None if its.better[1] is None else not its.better[1])
        difference = its.differences[1]
        assert mine.differences[1] == (None if difference is None else -difference)


@given(st.lists(st.tuples(RECORDS, METRICS), min_size=2, max_size=5))
def test_every_worse_metric_is_explained_once_and_no_other(versions: list[tuple[Record, dict[str, float]]]) -> None:
    comparison = beside([made_version(place + 1, *one) for place, one in enumerate(versions)])
    explained = [(one.version_index, metric) for one in comparison.suspects for metric in one.metrics]
    worse = [
        (place, metric.name)
        for metric in comparison.metrics
        for place, better in enumerate(metric.better)
        if better is False
    ]
    assert sorted(explained) == sorted(worse)
    for one in comparison.suspects:
        assert one.metrics
        for changes in one.changes.values():
            assert 0 < len(changes) <= 11
            assert len(set(changes)) == len(changes)
