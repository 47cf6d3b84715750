"""A record keeps what it was given, to the type, or is refused with everything that is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.errors import InvalidRequest, LimitExceeded
from weighbridge.core.limits import RECORD_BYTES
from weighbridge.core.record_check import check_metrics, check_record
from weighbridge.core.record_form import most_record_bytes
from weighbridge.core.scalars import plain
from weighbridge.core.values import (
    Accelerator,
    Dataset,
    Energy,
    Environment,
    MetricPoint,
    Parent,
    Record,
    Relation,
    Scalar,
    Signature,
    SourceCode,
    TensorSpec,
)
from weighbridge.wire import convert
from weighbridge_server.domain.registry.record_text import parse_record, record_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
LARGEST_INT = 2**53 - 1
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-LARGEST_INT, LARGEST_INT),
    st.floats(allow_nan=False, allow_infinity=False),
)
SHORT_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=16)
"""Within 64 bytes."""
NAMED = st.dictionaries(TEXTS.filter(bool), SCALARS, max_size=5)
NAMES = TEXTS.filter(bool)
COUNTS = st.integers(0, 2**32 - 1)
DIGESTS = st.sampled_from(["", "b3:" + "0f" * 32])
SOURCES = st.builds(
    SourceCode, TEXTS, TEXTS, TEXTS, st.booleans(), DIGESTS, DIGESTS, TEXTS, st.lists(TEXTS, max_size=3).map(tuple)
)
ENVIRONMENTS = st.builds(
    Environment,
    python=TEXTS,
    implementation=TEXTS,
    os=TEXTS,
    platform=TEXTS,
    cpu=TEXTS,
    cpu_count=COUNTS,
    accelerators=st.lists(st.builds(Accelerator, NAMES, st.integers(0, LARGEST_INT), TEXTS), max_size=2).map(tuple),
    container_image=TEXTS,
    packages=st.dictionaries(NAMES, TEXTS, max_size=3),
    packages_left_out=COUNTS,
    lock_file=TEXTS,
    lock_digest=DIGESTS,
    host=TEXTS,
    user=TEXTS,
)
TENSORS = st.lists(
    st.builds(TensorSpec, NAMES, SHORT_TEXTS, st.lists(st.integers(-1, LARGEST_INT), max_size=3).map(tuple)), max_size=2
).map(tuple)
AMOUNTS = st.none() | st.floats(min_value=0, allow_nan=False, allow_infinity=False)
RECORDS = st.builds(
    Record,
    TEXTS,
    NAMED,
    NAMED,
    st.lists(st.builds(Dataset, TEXTS.filter(bool), TEXTS, TEXTS, TEXTS, SHORT_TEXTS), max_size=3).map(tuple),
    st.lists(st.builds(Parent, TEXTS, st.sampled_from(Relation)), max_size=3).map(tuple),
    st.none() | SOURCES,
    st.none() | ENVIRONMENTS,
    st.none() | st.builds(Signature, TENSORS, TENSORS),
    st.none() | st.builds(Energy, AMOUNTS, AMOUNTS, TEXTS, TEXTS),
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


@given(RECORDS)
def test_a_record_comes_back_from_a_message(record: Record) -> None:
    message = convert.record_message(record)
    assert convert.record_value(type(message).FromString(message.SerializeToString())) == record


@given(RECORDS)
def test_the_client_s_bound_of_the_size_holds_and_is_close(record: Record) -> None:
    size = len(record_text(record).encode())
    assert size <= most_record_bytes(record) <= size + 30 * (len(record.params) + len(record.tags) + 2)


def test_a_text_from_before_a_part_was_thought_of_is_read_and_stays_as_it_is() -> None:
    old = '{"datasets":[],"description":"old","params":{"lr":{"double":1}},"parents":[],"tags":{}}'
    record = parse_record(old)
    assert record == Record("old", params={"lr": 1.0})
    assert (record.source, record.environment, record.signature, record.energy) == (None, None, None, None)
    assert record_text(record) == old


def test_a_part_says_only_what_is_known_and_zero_is_known() -> None:
    record = Record(
        source=SourceCode(commit="abc"),
        environment=Environment(packages={"numpy": "2.0"}),
        signature=Signature(inputs=[TensorSpec("x", shape=(-1, 0))]),
        energy=Energy(kwh=0.0),
    )
    assert record_text(record) == (
        '{"datasets":[],"description":"","energy":{"kwh":0},"environment":{"packages":{"numpy":"2.0"}},"params":{},'
        '"parents":[],"signature":{"inputs":[{"name":"x","shape":[-1,0]}]},"source":{"commit":"abc"},"tags":{}}'
    )
    assert parse_record(record_text(Record(environment=Environment()))) == Record(environment=Environment())


def test_four_hundred_packages_take_a_quarter_of_the_room() -> None:
    packages = {f"a-package-of-some-length-{number}": f"1.{number}.0" for number in range(400)}
    assert len(record_text(Record(environment=Environment(packages=packages)))) < RECORD_BYTES // 4


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 10**400, True, "1", [1]])
def test_energy_is_a_finite_number_that_is_not_negative(value: Any) -> None:
    check_record(Record(energy=Energy(kwh=0, gco2e=1e300)))
    assert refusals(Record(energy=Energy(kwh=value, gco2e=value))).keys() == {"energy.kwh", "energy.gco2e"}


def test_every_text_of_every_part_is_checked() -> None:
    bad: Any = "a\0b"
    record = Record(
        source=SourceCode(bad, bad, bad, False, bad, bad, bad, ("fine", bad)),
        environment=Environment(
            bad, bad, bad, bad, bad, -1, [Accelerator(bad, -1, bad)], bad, {bad: bad}, -1, bad, bad, bad, bad
        ),
        signature=Signature([TensorSpec(bad, bad, (-2, 2**53, True))], [TensorSpec("")]),
        energy=Energy(region=bad, method=bad),
    )
    texts = "python implementation os platform cpu container_image lock_file host user".split()
    assert refusals(record).keys() == {
        *(f"source.{name}" for name in ("repository", "commit", "branch", "entry_point", "command[1]")),
        *(f"source.{name}" for name in ("diff_digest", "untracked_digest")),
        *(f"environment.{name}" for name in texts),
        *(f"environment.{name}" for name in ("cpu_count", "packages_left_out", "lock_digest", "packages.a\0b")),
        *(f"environment.accelerators[0].{name}" for name in ("name", "memory_bytes", "driver")),
        *(f"signature.inputs[0].{name}" for name in ("name", "dtype", "shape[0]", "shape[1]", "shape[2]")),
        "signature.outputs[0].name",
        "energy.region",
        "energy.method",
    }


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


def test_numbers_of_numpy_are_the_numbers_that_they_are() -> None:
    values = {"a": numpy.bool_(True), "b": numpy.float32(0.5), "c": numpy.int64(3), "d": numpy.array(2.5), "e": "x"}
    assert typed(plain(values)) == typed({"a": True, "b": 0.5, "c": 3, "d": 2.5, "e": "x"})
    assert plain(None) == {}
    assert list(refusals(Record(params=plain({"many": numpy.ones(2)})))) == ["params.many"]
