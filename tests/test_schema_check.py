"""Holding committed versions against a schema: the one in force, or one that is not set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import TAGS, RunCli, RunningServer

OWNED = {"properties": {"tags": {"required": ["owner"]}}}


@pytest.fixture
def prefix(new_model: Callable[[], str]) -> str:
    """A project of the test's own."""
    return new_model().replace(".", "-")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Something to push."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def pushed(client: wb.Client, prefix: str, weights: Path) -> str:
    """A project of two models, of which one has an owner in its second version."""
    client.push(f"{prefix}.a.b", weights)
    client.push(f"{prefix}.a.b", weights, tags={"owner": "ada"})
    client.push(f"{prefix}.c.d", weights)
    return prefix


def found(checked: list[wb.CheckedVersion]) -> dict[str, list[str]]:
    """The paths of what each version breaks."""
    return {version.ref: [violation.path for violation in version.violations] for version in checked}


def test_a_schema_is_tried_before_it_is_set(client: wb.Client, pushed: str) -> None:
    events = len(list(client.events()))
    checked = list(client.check_schema(pushed, OWNED))
    assert found(checked) == {
        f"{pushed}.a.b:2": [],
        f"{pushed}.a.b:1": ["tags.owner"],
        f"{pushed}.c.d:1": ["tags.owner"],
    }
    assert {version.schema for version in checked} == {None}
    assert found(list(client.check_schema(f"{pushed}.c.d", OWNED))) == {f"{pushed}.c.d:1": ["tags.owner"]}
    assert found(list(client.check_schema(f"{pushed}.a.b:2", OWNED))) == {f"{pushed}.a.b:2": []}
    assert found(list(client.check_schema(f"{pushed}.a", OWNED))).keys() == {f"{pushed}.a.b:1", f"{pushed}.a.b:2"}
    assert len(list(client.events())) == events


def test_without_one_each_version_is_held_against_what_governs_it(client: wb.Client, pushed: str) -> None:
    with pytest.raises(wb.SchemaNotFound):
        list(client.check_schema(pushed))
    client.set_schema(f"{pushed}.a", OWNED)
    checked = list(client.check_schema(pushed))
    assert found(checked) == {f"{pushed}.a.b:2": [], f"{pushed}.a.b:1": ["tags.owner"]}
    assert {version.schema for version in checked} == {wb.SchemaRevision(f"{pushed}.a", 1)}
    with pytest.raises(wb.SchemaNotFound):
        list(client.check_schema(f"{pushed}.c.d:1"))


def test_all_names(asking_server: RunningServer, prefix: str, weights: Path) -> None:
    with asking_server.connect() as client:
        ref = client.push(f"{prefix}.a.b", weights, tags=TAGS).version.ref
        client.push(f"{prefix}.a.c", weights, tags=TAGS)
        checked = {version.ref: version for version in client.check_schema("*")}
        assert checked[ref] == wb.CheckedVersion(ref, (), wb.SchemaRevision("*", 0))
        assert f"{prefix}.a.c:1" in checked
        assert all(version.violations for version in client.check_schema("*", {"required": ["signature"]}))


def test_metrics_and_files_count(client: wb.Client, prefix: str, weights: Path) -> None:
    client.push(f"{prefix}.a.b", weights, metrics={"loss": float("nan"), "auc": 0.5})
    schema = {
        "properties": {
            "metrics": {"properties": {"loss": {"type": "number"}, "auc": {"minimum": 0.9}}},
            "files": {"items": {"properties": {"path": {"pattern": "\\.safetensors$"}}}},
        }
    }
    (checked,) = client.check_schema(f"{prefix}.a.b", schema)
    assert [(item.path, item.message) for item in checked.violations] == [
        ("metrics.loss", "is the text 'NaN'; it has to be a number"),
        ("metrics.auc", "is 0.5; it has to be 0.9 or more"),
        ("files[0].path", "is 'weights.bin'; it has to be text that matches '\\.safetensors$'"),
    ]


def test_what_is_deleted_is_left_out(client: wb.Client, pushed: str) -> None:
    client.delete_model(f"{pushed}.c.d", reason="gone")
    client.delete_version(f"{pushed}.a.b:1", reason="gone")
    assert found(list(client.check_schema(pushed, OWNED))) == {f"{pushed}.a.b:2": []}
    with pytest.raises(wb.ModelDeleted):
        list(client.check_schema(f"{pushed}.c.d", OWNED))
    with pytest.raises(wb.VersionDeleted):
        list(client.check_schema(f"{pushed}.a.b:1", OWNED))


def test_a_prefix_ends_with_a_segment(client: wb.Client, prefix: str, weights: Path) -> None:
    for name in (f"{prefix}.a.b", f"{prefix}.a.b-c", f"{prefix}.a-b.c", f"{prefix}x.a.b"):
        client.push(name, weights)
    client.set_schema(f"{prefix}.a.b", {"properties": {"model": {"pattern": ""}}})
    client.push(f"{prefix}.a.b.c.d", weights)
    assert found(list(client.check_schema(f"{prefix}.a", {}))).keys() == {
        f"{prefix}.a.b:1",
        f"{prefix}.a.b-c:1",
        f"{prefix}.a.b.c.d:1",
    }
    assert found(list(client.check_schema(f"{prefix}.a.b", {}))).keys() == {f"{prefix}.a.b:1", f"{prefix}.a.b.c.d:1"}


def test_a_model_without_versions_breaks_nothing(client: wb.Client, run_cli: RunCli, prefix: str) -> None:
    client.create_model(f"{prefix}.a.b")
    assert list(client.check_schema(f"{prefix}.a.b", OWNED)) == []
    client.set_schema(prefix, OWNED)
    ran = run_cli("schema", "check", f"{prefix}.a.b")
    assert (ran.code, ran.out) == (0, f"{prefix}.a.b has no versions yet\n")


def test_a_schema_that_is_none_is_refused_before_anything_is_looked_at(client: wb.Client, pushed: str) -> None:
    for target in (pushed, "no-such-project", "a.b.c:7"):
        with pytest.raises(wb.InvalidRequest) as raised:
            list(client.check_schema(target, {"$ref": "https://example.com/s.json"}))
        assert [violation.path for violation in raised.value.violations] == ["$ref"]


def test_the_verb_tells_and_exits_with_3(run_cli: RunCli, client: wb.Client, pushed: str, tmp_path: Path) -> None:
    file = tmp_path / "owned.json"
    file.write_text(json.dumps(OWNED))
    ran = run_cli("schema", "check", pushed, file)
    assert ran.code == 3
    assert f"{pushed}.a.b:1 breaks the schema that was given\n  tags.owner  is missing (--tag owner=VALUE" in ran.out
    assert ran.out.endswith("\n3 versions checked, 2 of them break the schema\n")
    assert run_cli("schema", "check", "-q", pushed, file).out == f"{pushed}.a.b:1\n{pushed}.c.d:1\n"
    document = run_cli("schema", "check", pushed, file, "--json")
    assert (document.code, document.json["ok"]) == (3, False)
    assert {version["ref"]: version["ok"] for version in document.json["checked"]} == {
        f"{pushed}.a.b:2": True,
        f"{pushed}.a.b:1": False,
        f"{pushed}.c.d:1": False,
    }
    assert document.json["checked"][1]["violations"][0]["path"] == "tags.owner"
    client.set_schema(f"{pushed}.a.b", OWNED)
    fine = run_cli("schema", "check", f"{pushed}.a.b:2")
    assert (fine.code, fine.out) == (0, "1 version checked, and none breaks its schema\n")
    assert run_cli("schema", "check", f"{pushed}.a.b:1", "--json").json["checked"][0]["schema"] == {
        "prefix": f"{pushed}.a.b",
        "revision": 1,
    }
