"""``weighbridge metrics``, and what ``show`` says of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli

NOW = datetime(2026, 10, 1, 8, 30, 0, tzinfo=UTC)


@pytest.fixture
def ref(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> str:
    """A version with three metrics, one of them of a hundred points."""
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"weights")
    ref = client.push(new_model(), weights).version.ref
    points = [wb.MetricPoint("loss", 1 / (step + 1), step, NOW + timedelta(seconds=step)) for step in range(100)]
    others = [wb.MetricPoint("auc", 0.75, 99, NOW), wb.MetricPoint("a\x1b,b", math.nan, 1, NOW)]
    client.log_metrics(ref, [*points, *others])
    return ref


def test_the_table_has_a_line_a_metric(run_cli: RunCli, ref: str) -> None:
    ran = run_cli("metrics", ref)
    assert [line.split() for line in ran.out.splitlines()] == [
        ["METRIC", "LATEST", "STEP", "MIN", "MAX", "POINTS"],
        ["a\\x1b,b", "nan", "1", "nan", "nan", "1"],
        ["auc", "0.75", "99", "0.75", "0.75", "1"],
        ["loss", "0.01", "99", "0.01", "1", "100"],
    ]
    assert run_cli("metrics", ref, "loss", "-q").out == "loss\n"


def test_csv_has_every_point_as_it_was(run_cli: RunCli, client: wb.Client, ref: str) -> None:
    header, *rows = csv.reader(io.StringIO(run_cli("metrics", ref, "--csv").out))
    assert header == ["name", "step", "time", "value"]
    assert [row[0] for row in rows] == ["a\\x1b,b", "auc", *["loss"] * 100]
    assert rows[0][1:] == ["1", "2026-10-01T08:30:00.000000Z", "nan"]
    loss = client.metrics(ref)["loss"]
    assert [(int(step), float(value)) for _, step, _, value in rows[2:]] == list(
        zip(loss.steps.tolist(), loss.values.tolist(), strict=True)
    )
    thin = run_cli("metrics", ref, "loss", "--csv", "--points", "5").out.splitlines()
    assert [line.split(",")[1] for line in thin[1:]] == ["0", "1", "98", "99"]


def test_json_has_summaries_and_the_points_that_were_asked_for(run_cli: RunCli, ref: str) -> None:
    document = run_cli("metrics", ref, "--json").json
    assert document["ref"] == ref
    assert [item["name"] for item in document["metrics"]] == ["a\x1b,b", "auc", "loss"]
    assert document["metrics"][0] == {
        "name": "a\x1b,b", "latest": "NaN", "step": 1, "min": "NaN", "max": "NaN", "points": 1,
    }  # fmt: skip
    (loss,) = run_cli("metrics", ref, "loss", "--json", "--points", "0").json["metrics"]
    assert loss["steps"] == list(range(100))
    assert loss["values"][:2] == [1.0, 0.5]
    assert loss["times"][1] == "2026-10-01T08:30:01.000000Z"


def test_show_says_the_range_of_a_curve(run_cli: RunCli, ref: str) -> None:
    shown = run_cli("show", ref).out
    assert "0.01 at step 99, 100 points from 0.01 to 1\n" in shown
    assert "0.75 at step 99, 1 point\n" in shown
    document = run_cli("show", ref, "--json").json
    assert document["metrics"] == {"a\x1b,b": "NaN", "auc": 0.75, "loss": 0.01}
    assert document["metric_summaries"]["loss"] == {"latest": 0.01, "step": 99, "min": 0.01, "max": 1.0, "points": 100}


def test_a_version_without_metrics_says_how_they_come(run_cli: RunCli, client: wb.Client, ref: str) -> None:
    bare = client.push(ref.partition(":")[0], "/etc/hostname").version.ref
    ran = run_cli("metrics", bare)
    assert (ran.code, ran.out.splitlines()[0].startswith(f"{bare} has no metrics; ")) == (0, True)
    assert run_cli("metrics", bare, "--json").json == {"ref": bare, "metrics": []}
    assert run_cli("metrics", bare, "--csv").out == "name,step,time,value\n"
    assert "it has none" in run_cli("metrics", bare, "loss").err


def test_mistakes_are_named(run_cli: RunCli, ref: str) -> None:
    unknown = run_cli("metrics", ref, "los", "auc")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err == f"error: USAGE: {ref} has no metric 'los'; it has a\\x1b,b, auc, loss\n"
    assert run_cli("metrics", f"{ref}9").code == 1
    few = run_cli("metrics", ref, "--csv", "--points", "3")
    assert (few.code, few.out) == (1, "")
    assert "most_points" in few.err
    for arguments in (["--points", "10"], ["--csv", "--json"], ["--csv", "--points", "-1"]):
        assert run_cli("metrics", ref, *arguments).code == 2
