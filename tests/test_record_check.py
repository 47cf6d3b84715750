"""A record keeps what it was given, to the type, or is refused with everything that is wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.errors import InvalidRequest, LimitExceeded
from weighbridge.core.limits import RECORD_BYTES
from weighbridge.core.record_check import check_metrics, check_record
from weighbridge.core.values import Dataset, MetricPoint, Parent, Record, Relation, Scalar
from weighbridge_server.domain.record_text import parse_record, record_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
LARGEST_INT = 2**53 - 1
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-LARGEST_INT, LARGEST_INT),
    st.floats(allow_nan=False, allow_infinity=False),
)
NAMED = st.dictionaries(TEXTS.filter(bool), SCALARS, max_size=5)
RECORDS = st.builds(
    Record,
    TEXTS,
    NAMED,
    NAMED,
    st.lists(st.builds(Dataset, TEXTS.filter(bool), TEXTS, TEXTS, TEXTS, TEXTS), max_size=3).map(tuple),
    st.lists(st.builds(Parent, TEXTS, st.sampled_from(Relation)), max_size=3).map(tuple),
)


def refusals(record: Record) -> dict[str, str]:
    """What is said at each place of a record that is refused."""
    with pytest.raises(InvalidRequest) as refused:
        check_record(record)
    return {violation.path: violation.message for violation in refused.value.violations}


def typed(values: Any) -> dict[str, tuple[type, Scalar]]:
    return {name: (type(value), value) for name, value in values.items()}


@given(RECORDS)
def test_a_record_comes_back_as_it_was_to_the_type(record: Record) -> None:
    check_record(record)
    back = parse_record(record_text(record))
    assert back == record
    assert typed(back.params) == typed(record.params)
    assert typed(back.tags) == typed(record.tags)


def test_one_is_not_one_point_zero_is_not_true() -> None:
    values: dict[str, Scalar] = {"int": 1, "double": 1.0, "bool": True, "text": "1"}
    back = parse_record(record_text(Record(params=values)))
    assert {name: type(value) for name, value in back.params.items()} == {
        "int": int,
        "double": float,
        "bool": bool,
        "text": str,
    }
    assert len({record_text(Record(params={"x": value})) for value in values.values()}) == 4


def test_the_text_does_not_depend_on_the_order_of_names() -> None:
    assert record_text(Record(params={"b": 1, "a": 2})) == record_text(Record(params={"a": 2, "b": 1}))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_where_it_is(value: float) -> None:
    found = refusals(Record(params={"fine": 1.0, "lr": value}, tags={"cost": value}))
    assert found.keys() == {"params.lr", "tags.cost"}
    assert str(value) in found["params.lr"]


@pytest.mark.parametrize("value", [LARGEST_INT + 1, -LARGEST_INT - 1, 10**30])
def test_an_integer_that_not_every_reader_keeps_is_refused(value: int) -> None:
    check_record(Record(params={"most": LARGEST_INT, "least": -LARGEST_INT}))
    assert refusals(Record(tags={"big": value})).keys() == {"tags.big"}


@pytest.mark.parametrize("text", ["a\0b", "a\udc80b", "\ud83d"], ids=ascii)
def test_text_that_cannot_be_stored_is_refused_wherever_it_stands(text: str) -> None:
    record = Record(
        description=text,
        params={text: 1, "p": text},
        tags={text: True, "t": text},
        datasets=[Dataset("fine", uri="s3://bucket"), Dataset(text, text, text, text, text)],
        parents=[Parent(text)],
    )
    fields = ("name", "version", "digest", "uri", "role")
    assert refusals(record).keys() == {
        "description",
        f"params.{text}",
        "params.p",
        f"tags.{text}",
        "tags.t",
        *(f"datasets[1].{field}" for field in fields),
        "parents[0].ref",
    }


@pytest.mark.parametrize("value", [None, [1], b"bytes", 1j])
def test_what_is_no_scalar_is_refused(value: Any) -> None:
    assert type(value).__name__ in refusals(Record(params={"x": value}))["params.x"]
    assert type(value).__name__ in refusals(Record(description=value))["description"]
    assert type(value).__name__ in refusals(Record(datasets=[Dataset(value)]))["datasets[0].name"]


def test_names_are_neither_empty_nor_longer_than_256_bytes() -> None:
    check_record(Record(params={"é" * 128: 1}, datasets=[Dataset("x" * 256)]))
    found = refusals(Record(params={"": 1, "é" * 128 + "a": 1}, datasets=[Dataset("")]))
    assert len(found) == 3
    assert "empty" in found["params."]
    assert "empty" in found["datasets[0].name"]


def test_a_record_of_64_kib_is_kept_and_no_byte_more() -> None:
    room = RECORD_BYTES - len(record_text(Record()))
    assert len(record_text(Record(description="x" * room)).encode()) == RECORD_BYTES
    for text in ("x" * (room + 1), "é" * (room // 2 + 1)):
        with pytest.raises(LimitExceeded) as refused:
            record_text(Record(description=text))
        assert refused.value.details["limit"] == str(RECORD_BYTES)
        assert int(refused.value.details["actual"]) > RECORD_BYTES


def test_metrics_keep_any_value_under_a_good_name() -> None:
    check_metrics([MetricPoint("loss", value, -(2**63)) for value in (0.5, math.nan, math.inf)])
    points = [MetricPoint("a\0", 1.0), MetricPoint("a\0", 2.0), MetricPoint("", 1.0), MetricPoint("loss", 1.0, 2**63)]
    with pytest.raises(InvalidRequest) as refused:
        check_metrics(points)
    assert [violation.path for violation in refused.value.violations] == ["metrics.a\0", "metrics.", "metrics.loss"]
