"""Filters that are long, deep or in another language: evaluated, or refused in a clear line, and nothing is harmed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli

NewModel = Callable[[], str]


@pytest.fixture
def model(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """A model with one version, whose description is none of a program's."""
    (tmp_path / "weights.bin").write_bytes(b"weights")
    model = new_model()
    client.push(model, tmp_path / "weights.bin", description="'; DROP TABLE versions; -- 100%_", tags={"a": "b"})
    return model


def found(client: wb.Client, condition: str, model: str) -> list[int]:
    return [version.version for version in client.search(condition, model=model)]


def test_a_filter_of_10_kb_is_evaluated(client: wb.Client, model: str) -> None:
    terms = [f'tags.a == "no-{number:05}"' for number in range(10_240 // 23)]
    assert found(client, " || ".join(terms), model) == []
    condition = " || ".join([*terms, 'tags.a == "b"'])
    assert len(condition) > 10_240
    assert found(client, condition, model) == [1]
    assert found(client, f'tags.a != "{"🦊" * 2560}"', model) == [1]


def test_a_filter_that_is_longer_than_a_request_may_have_is_refused(
    client: wb.Client, run_cli: RunCli, model: str
) -> None:
    long = f'tags.a != "{"x" * 16_384}"'
    with pytest.raises(wb.InvalidRequest) as refusal:
        found(client, long, model)
    assert [(item.path, item.message) for item in refusal.value.violations] == [
        ("filter", "must be at most 16384 bytes")
    ]
    ran = run_cli("search", long)
    assert (ran.code, ran.out) == (1, "")
    assert "filter: must be at most 16384 bytes" in ran.err


@pytest.mark.parametrize(
    ("levels", "condition"),
    [
        ("parentheses", "(" * 5000 + "version == 1" + ")" * 5000),
        ("conditions", "(version > 0 && " * 248 + "true" + ")" * 248),
        ("signs", "version == " + "-" * 248 + "1"),
    ],
)
def test_a_filter_that_is_deep_is_evaluated(client: wb.Client, model: str, levels: str, condition: str) -> None:
    assert found(client, condition, model) == [1], levels


@pytest.mark.parametrize(
    "condition",
    ["!" * 250 + "true", "(version > 0 && " * 250 + "true" + ")" * 250, "!" * 5000 + "(version == 1)"],
    ids=["250 signs", "250 conditions", "5000 signs"],
)
def test_a_filter_that_is_too_deep_is_refused_with_its_place(
    client: wb.Client, run_cli: RunCli, model: str, condition: str
) -> None:
    with pytest.raises(wb.InvalidExpression) as refusal:
        found(client, condition, model)
    assert ["nested deeper than 250 levels; write it flatter" in item.message for item in refusal.value.violations] == [
        True
    ]
    ran = run_cli("search", condition)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: INVALID_EXPRESSION: ")


@pytest.mark.parametrize(
    "condition",
    [
        "'; DROP TABLE versions; --",
        "version = 1 OR 1 = 1",
        "1=1; SELECT pg_sleep(10)",
        "model == 'x' UNION SELECT * FROM models",
        "version == 1 -- and the rest",
        "version == 1; DELETE FROM versions",
        "version == (SELECT 1)",
        "pg_sleep(10) == 1",
        "version == $1",
        "version == %s",
    ],
)
def test_sql_is_no_filter(client: wb.Client, run_cli: RunCli, model: str, condition: str) -> None:
    with pytest.raises(wb.InvalidExpression) as refusal:
        found(client, condition, model)
    assert all(item.path[0].isdigit() for item in refusal.value.violations), "each says line and column"
    with pytest.raises(wb.InvalidExpression):
        list(client.search(order_by=condition))
    ran = run_cli("search", condition)
    assert (ran.code, ran.out) == (1, "")
    assert "SELECT" not in ran.err.replace(condition, "").replace("'SELECT'", ""), "no SQL of the server's is told"
    assert found(client, "version == 1", model) == [1]


def test_sql_in_a_text_is_a_text(client: wb.Client, model: str) -> None:
    text = "'; DROP TABLE versions; -- 100%_"
    assert found(client, f'description == "{text}"', model) == [1]
    assert found(client, 'description.contains("0%_")', model) == [1]
    for pattern in ("%", "_", "%' OR '1'='1", "\\\\"):
        assert found(client, f'description.startsWith("{pattern}")', model) == [], pattern
    assert found(client, f'tags["{text}"] == "x" || params["{text}"] == 1', model) == []
    assert found(client, f'metrics["a\') OR 1=1 --"] > 0 || tags.a == "{text}"', model) == []
    assert len(list(client.versions(model))) == 1
