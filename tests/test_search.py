"""Finding versions by what they record, through the SDK and the command line: every name and every operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli
from search_catalogue import BIG, OURS, PROJECT, SMALL, Catalogue, catalogue
from weighbridge.core.digest import format_digest

__all__ = ["catalogue"]

NewModel = Callable[[], str]
ALL = ["small:1", "big:3", "big:2", "big:1"]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        # names
        (f'model == "{SMALL}"', ["small:1"]),
        ('model.endsWith(".small")', ["small:1"]),
        ("version == 2", ["big:2"]),
        ("version >= 2 && version < 3.5", ["big:3", "big:2"]),
        (f'ref == "{BIG}:3"', ["big:3"]),
        (f'ref in ["{BIG}:1", "{SMALL}:1", "{BIG}:77"]', ["small:1", "big:1"]),
        (f'ref != "{BIG}:3"', ["small:1", "big:2", "big:1"]),
        ('stage == "development"', ALL),
        ('stage in ["production", "archived"]', []),
        ('creator.contains(":") && creator != "somebody"', ALL),
        ('created_time > timestamp("2020-01-01") && created_time < timestamp("2999-12-31T23:59:59+02:00")', ALL),
        ('created_time < timestamp("2020-01-01T00:00:00.5Z")', []),
        ('description == "The first of all"', ["big:1"]),
        ('description.matches("^Dist[a-z]+ from")', ["big:2"]),
        ("size(description) == 0", ["small:1", "big:3"]),
        ("files_total == 2", ["big:2"]),
        ("bytes_total < 3 && chunks_total <= 2", ["small:1", "big:2", "big:1"]),
        # tags and parameters, each of its own kind
        ('tags.hardware_target == "gpu"', ["big:3", "big:1"]),
        ('tags.hardware_target != "gpu"', ["big:2"]),
        ('!(tags.hardware_target == "gpu")', ["big:2"]),
        ('tags["cost center"] == 7', ["big:1"]),
        ('tags["cost center"] != 7', ["big:2"]),
        ('tags["cost center"] == "seven"', ["big:2"]),
        ('tags["cost center"] in ["seven", 7.0]', ["big:2", "big:1"]),
        ('tags["cost center"] > 5', ["big:1"]),
        ('!(tags["cost center"] > 5)', []),
        ("tags.reviewed", ["big:1"]),
        ("!tags.reviewed", ["big:2"]),
        ("tags.reviewed == false", ["big:2"]),
        ('tags["größe 🦊"] == "groß"', ["big:1"]),
        ("has(tags.hardware_target)", ["big:3", "big:2", "big:1"]),
        ("!has(tags.hardware_target)", ["small:1"]),
        ('"cost center" in tags', ["big:2", "big:1"]),
        ("params.lr < 0.005", ["big:1"]),
        ("params.lr * 1000 == 10", ["big:2"]),
        ("params.layers / 4 == 1.5", ["big:2"]),
        ("params.layers % 4 == 2", ["big:2"]),
        ("-params.layers == -12", ["big:1"]),
        ("params.layers - 6 == 0 || params.layers + 1 == 13", ["big:2", "big:1"]),
        ("params.amp", ["big:1"]),
        ('params.optimizer.startsWith("ad")', ["big:1"]),
        ("params.layers == 12.0", ["big:1"]),
        ('params.layers == "12"', []),
        # metrics
        ("metrics.accuracy > 0.75", ["big:1"]),
        ("metrics.accuracy.latest == 0.8 && metrics.accuracy.max == 0.9 && metrics.accuracy.min == 0.5", ["big:1"]),
        ("metrics.accuracy.points == 3 && metrics.accuracy.step == 2", ["big:1"]),
        ('metrics["val.loss"] > 1e300', ["big:2"]),
        ("has(metrics.accuracy)", ["big:3", "big:2", "big:1"]),
        # NaN is less than nothing, more than nothing, and unequal to itself.
        ("metrics.accuracy != metrics.accuracy", ["big:3"]),
        ("!(metrics.accuracy > 0) && !(metrics.accuracy <= 0)", ["big:3"]),
        # energy, code, environment
        ("energy.kwh > 1 && energy.gco2e == 500", ["big:1"]),
        ("has(energy.kwh) && !has(energy.gco2e)", ["big:2"]),
        ('energy.region == "DE" && energy.method == "meter"', ["big:1"]),
        ("metrics.accuracy / (energy.gco2e / 1000.0) == 1.6", ["big:1"]),
        ("metrics.accuracy / energy.kwh > 0", ["big:1"]),
        (f'source.commit == "{"b" * 40}"', ["big:2"]),
        ("source.dirty", ["big:2"]),
        ("!source.dirty", ["big:1"]),
        ('source.branch == "main" && source.entry_point == "train.py"', ["big:1"]),
        ('source.repository.contains("git.example.org")', ["big:2", "big:1"]),
        ('environment.python.startsWith("3.11.")', ["big:1"]),
        ('environment.os == "Debian 12" && environment.host == "node-1" && environment.cpu_count > 64', ["big:1"]),
        ('environment.packages["torch"] >= "2.1.0"', ["big:2", "big:1"]),
        ('environment.packages.numpy == "2.0"', ["big:1"]),
        ('"torch" in environment.packages && !("numpy" in environment.packages)', ["big:2"]),
        # lists
        ('datasets.exists(d, d.name == "transactions" && d.version == "2026-11")', ["big:2"]),
        ('datasets.exists(d, d.digest == "sha256:00")', ["big:1"]),
        ('datasets.all(d, d.role == "train")', ["small:1", "big:3", "big:1"]),
        ('!datasets.exists(d, d.name == "transactions")', ["small:1", "big:3"]),
        ("size(datasets) == 2", ["big:2"]),
        (f'parents.exists(p, p.ref == "{BIG}:1" && p.relation == "distilled")', ["big:2"]),
        (f'parents.exists(p, p.model == "{BIG}" && p.version > 1)', ["big:3"]),
        ("size(parents) > 0", ["big:3", "big:2"]),
        # and what joins them
        ('has(params.layers) ? params.layers > 6 : tags.hardware_target == "gpu"', ["big:3", "big:1"]),
        ("(params.layers > 6 ? 1 : 2) == 2", ["big:2"]),
        ("true", ALL),
        ("!true || false", []),
    ],
)
def test_every_name_and_operator(catalogue: Catalogue, condition: str, found: list[str]) -> None:
    assert catalogue.find(condition) == found


def test_a_manifest_is_named_by_its_digest(catalogue: Catalogue) -> None:
    digest = format_digest(catalogue.client.version(f"{BIG}:1").manifest)
    assert catalogue.find(f'manifest_digest == "{digest}"') == ["small:1", "big:1"], "they hold the same file"
    assert catalogue.find(f'manifest_digest != "{digest}"') == ["big:3", "big:2"]
    assert catalogue.find(f'manifest_digest.startsWith("{digest[:20]}")') == ["small:1", "big:1"]
    assert catalogue.find('manifest_digest == "b3:none"') == []


def test_missing_values_neither_hold_nor_fail(catalogue: Catalogue) -> None:
    assert catalogue.find("params.lr > 0 || params.lr <= 0") == ["big:2", "big:1"]
    assert catalogue.find("params.lr > 0 || version > 0") == ALL, "one term that holds is enough"
    assert catalogue.find("!(params.lr > 0 && version == 0)") == ALL, "one term that fails is enough"


@pytest.mark.parametrize(
    ("order_by", "found"),
    [
        ("metrics.accuracy desc", ["big:1", "big:2", "small:1", "big:3"]),
        ("metrics.accuracy", ["big:2", "big:1", "small:1", "big:3"]),
        ("metrics.accuracy / (energy.gco2e / 1000) desc", ["big:1", "small:1", "big:3", "big:2"]),
        ("energy.kwh asc", ["big:2", "big:1", "small:1", "big:3"]),
        # What is equal, the newest first; numbers before texts; what is missing last.
        ("files_total desc", ["big:3", "big:2", "small:1", "big:1"]),
        ('tags["cost center"]', ["big:1", "big:2", "small:1", "big:3"]),
        ("tags.hardware_target desc, version", ["big:1", "big:3", "big:2", "small:1"]),
        ("model desc, version desc", ["small:1", "big:3", "big:2", "big:1"]),
        ("created_time", ["big:1", "big:2", "big:3", "small:1"]),
        ("tags.reviewed desc", ["big:1", "big:2", "small:1", "big:3"]),
    ],
)
def test_orders(catalogue: Catalogue, order_by: str, found: list[str]) -> None:
    assert catalogue.find("true", order_by) == found


def test_the_metrics_that_are_asked_for_or_sorted_by_come_with_each_version(catalogue: Catalogue) -> None:
    (found,) = catalogue.client.search(
        "version == 2", model=BIG, order_by="metrics.accuracy.max desc", show_metrics=["val.loss", "none"]
    )
    assert found.record is None
    assert {metric.name: metric.latest for metric in found.metrics or ()} == {"accuracy": 0.7, "val.loss": float("inf")}
    (bare,) = catalogue.client.search("version == 2", model=BIG)
    assert bare.metrics is None


def test_a_limit_and_a_model(catalogue: Catalogue) -> None:
    client = catalogue.client
    assert [version.version for version in client.search(model=BIG, limit=2)] == [3, 2]
    assert [version.version for version in client.search("version < 3", model=BIG, limit=100)] == [2, 1]
    assert list(client.search(model=BIG, limit=0)) == []
    for wrong in ({"limit": -1}, {"show_metrics": "accuracy"}):
        with pytest.raises(wb.UsageError):
            client.search(**wrong)
    with pytest.raises(wb.ModelNotFound):
        list(client.search(model=f"{PROJECT}.text.none"))


def test_what_changes_is_found_as_it_is_now(client: wb.Client, new_model: NewModel, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"weights")
    model = new_model()
    with client.begin(model, tags={"a": 1, "b": "x"}, description="before", capture=False) as version:
        version.add(weights)
    ref = f"{model}:1"

    def found(condition: str) -> bool:
        return [version.ref for version in client.search(condition, model=model)] == [ref]

    assert found('tags.a == 1 && tags.b == "x" && description == "before"')
    client.update_version(ref, set_tags={"a": "now a text", "c": True}, remove_tags=["b"], description="after")
    assert found('tags.a == "now a text" && tags.c && !has(tags.b) && description == "after"')
    assert not found("has(metrics.late)")
    client.log_metrics(ref, [wb.MetricPoint("late", 0.25, 7)])
    assert found("metrics.late == 0.25 && metrics.late.step == 7")
    assert not found('"champion" in aliases')
    client.set_alias(model, "champion", 1)
    assert found('"champion" in aliases')
    client.promote(ref, "staging")
    assert found('stage == "staging" && "staging" in aliases')


def test_deleted_versions_and_versions_of_deleted_models_are_left_out(
    client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"weights")
    model = new_model()
    for tag in ("first", "second"):
        client.push(model, weights, tags={"mark": f"{model} {tag}"}, capture=False)
    condition = f'tags.mark.startsWith("{model} ")'
    client.delete_version(f"{model}:1", reason="a test")
    assert [version.version for version in client.search(condition)] == [2]
    assert [version.version for version in client.search(condition, deleted=True)] == [1]
    client.delete_model(model, reason="a test")
    assert list(client.search(condition)) == []
    with pytest.raises(wb.ModelDeleted):
        list(client.search(model=model))
    client.restore_model(model)
    client.restore_version(f"{model}:1")
    assert [version.version for version in client.search(condition)] == [2, 1]


def test_the_command_line_prints_a_table_references_or_json(catalogue: Catalogue, run_cli: RunCli) -> None:
    condition = f"{OURS} && has(metrics.accuracy)"
    table = run_cli("search", condition, "--order-by", "metrics.accuracy desc", "--metric", "val.loss", "--limit", "2")
    header, first, second = table.out.splitlines()
    assert header.split() == ["VERSION", "val.loss", "accuracy", "STAGE", "CREATED", "BY", "SIZE"]
    assert first.split()[:3] == [f"{BIG}:1", "0.8", "development"]
    assert second.split()[:4] == [f"{BIG}:2", "inf", "0.7", "development"]
    assert run_cli("search", condition, "-q").out.split() == [f"{BIG}:3", f"{BIG}:2", f"{BIG}:1"]
    document = run_cli("search", "--json", condition, "--metric", "accuracy").json
    assert [version["ref"] for version in document["versions"]] == [f"{BIG}:3", f"{BIG}:2", f"{BIG}:1"]
    assert [version["metrics"] for version in document["versions"]] == [
        {"accuracy": "NaN"},
        {"accuracy": 0.7},
        {"accuracy": 0.8},
    ]
    assert {"model", "version", "manifest_digest", "stage", "created_time", "bytes_total"} < set(
        document["versions"][0]
    )
    assert "metrics" not in run_cli("search", "--json", condition).json["versions"][0]
    assert run_cli("search", "--model", BIG, "--limit", "1", "-q").out.split() == [f"{BIG}:3"]
    assert run_cli("search", f"{OURS} && false").out == "no version fulfils it\n"
    assert run_cli("search", f"{OURS} && false", "--json").json == {"versions": []}
