"""What differs looks different: values, digests and counts, as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import weighbridge as wb
from comparison_fixtures import two
from weighbridge.core.values import Record
from weighbridge.report.wording import difference, number, numbers, short_texts, suspicion, verdict

A, B = "0123456789ab" + "c" * 28, "0123456789ab" + "d" * 28


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.93, 0.91], ["0.93", "0.91"]),
        ([0.1 + 0.2, 0.3], ["0.30000000000000004", "0.3"]),
        ([0.9999999, 1.0], ["0.9999999", "1"]),
        ([0.9234561, 0.9234564], ["0.9234561", "0.9234564"]),
        ([1234567.125], ["1234567"]),
        ([1234567.125, 1234567.25], ["1234567.1", "1234567.2"]),
        ([1234567.0, 89.5], ["1234567", "89.5"]),
        ([1e-7, None, math.nan, math.inf, -math.inf], ["1e-07", "-", "nan", "inf", "-inf"]),
        ([0.0, -0.0], ["0", "0"]),
        ([1e300, 2.5e-300], ["1e+300", "2.5e-300"]),
    ],
)
def test_values_beside_each_other(values: list[float | None], told: list[str]) -> None:
    assert numbers(values) == told


@given(st.lists(st.floats() | st.none(), max_size=5))
def test_values_look_the_same_exactly_where_they_are(values: Sequence[float | None]) -> None:
    told = numbers(values)
    for one, text in zip(values, told, strict=True):
        for other, beside in zip(values, told, strict=True):
            same = one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))
            assert (text == beside) is same


def test_a_count_has_no_exponent() -> None:
    assert number(1234567.125) == "1234567"
    (metric,) = two(metrics=({"score": 1.0}, {"score": 1234567.125})).metrics
    assert difference(metric, 1) == "+1234566"


def test_books_have_no_verdict_unless_they_are_the_same() -> None:
    before, after = {"epoch": 3.0, "lr": 0.1}, {"epoch": 9.0, "lr": 0.1, "step": 7.0}
    epoch, lr, step = two(metrics=(before, after)).metrics
    assert [verdict(one, 1) for one in (epoch, lr, step)] == ["", "same", "added"]
    assert [difference(one, 1) for one in (epoch, lr, step)] == ["+6", "0", "-"]


@pytest.mark.parametrize(
    ("kind", "name", "values", "told"),
    [
        ("param", "commit", ("1" * 24, "1" * 23 + "2"), ["1" * 24, "1" * 23 + "2"]),
        ("tag", "id", ("f" * 40, None), ["f" * 40, "-"]),
        ("code", "commit", ("a" * 40, "b" * 40), ["a" * 12 + "…", "b" * 12 + "…"]),
        ("code", "commit", (A, B), [A, B]),
        ("code", "diff_digest", ("b3:" + "a" * 64, None), ["b3:" + "a" * 12 + "…", "-"]),
        ("code", "command", (f"train.py {A}", f"train.py {B}"), [f"train.py {A}", f"train.py {B}"]),
        ("environment", "lock_digest", ("b3:" + "a" * 64, "none"), ["b3:" + "a" * 12 + "…", "none"]),
        ("environment", "container_image", (f"x@sha256:{A}", f"x@sha256:{B}"), [f"x@sha256:{A}", f"x@sha256:{B}"]),
        (
            "dataset",
            "t",
            (f"1 sha256:{'a' * 64} s3://x/{A}", "20260900000000000000 sha256:aa"),
            [f"1 sha256:{'a' * 12}… s3://x/{A}", "20260900000000000000 sha256:aa"],
        ),
        ("dataset", "t", (f"sha256:{A}", f"sha256:{B}"), [f"sha256:{A}", f"sha256:{B}"]),
    ],
)
def test_only_digests_are_cut_and_only_where_they_stay_apart(
    kind: str, name: str, values: tuple[wb.Scalar | None, ...], told: list[str]
) -> None:
    assert short_texts(kind, wb.FieldDifference(name, values, True)) == told


def test_records_of_values_alike_at_their_beginning_differ() -> None:
    (field,) = two(Record(params={"p": A}), Record(params={"p": B})).params
    assert short_texts("param", field) == [A, B]


def test_code_that_was_recorded_in_part_is_in_doubt_in_part() -> None:
    source = wb.SourceCode(commit="c", dirty=True, untracked_digest="b3:" + "0" * 64)
    comparison = two(Record(source=source), Record(source=source))
    _, facts = suspicion(comparison, comparison.suspects[0], [":1", ":2"])
    assert facts[-1] == (
        "not recorded",
        "data, parameters, code (in files that git does not track), environment: cannot be ruled out",
    )
