"""A push against the schema of its name: refused before a byte is sent, mended at its commit without sending one."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from conftest import AS_SHIPPED, TAGS, RunCli, RunningServer
from raw_client import RawClient, refused, wait_until
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.v1 import models_pb2, versions_pb2
from weighbridge.wire import convert

NewPrefix = Callable[[], str]
TAG_FLAGS = [word for name, value in TAGS.items() for word in ("--tag", f"{name}={value}")]


@pytest.fixture
def asking(asking_server: RunningServer) -> Iterator[wb.Client]:
    """A client of a server as it is shipped."""
    with asking_server.connect() as client:
        yield client


@pytest.fixture
def prefix(new_model: Callable[[], str]) -> str:
    """A project of the test's own."""
    return new_model().replace(".", "-")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Three chunks that nobody pushed before."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(3 * CHUNK_BYTES))
    return path


def calls(server: RunningServer, method: str) -> int:
    """How often a method was called."""
    return sum(line.get("method") == method for line in server.log_lines())


def paths(raised: pytest.ExceptionInfo[wb.WeighbridgeError]) -> list[str]:
    """Where the violations are."""
    return [violation.path for violation in raised.value.violations]


def test_a_push_without_the_tags_is_refused_before_a_byte_and_makes_nothing(
    asking_server: RunningServer, asking: wb.Client, run_cli: RunCli, prefix: str, weights: Path
) -> None:
    model, events = f"{prefix}.a.b", len(list(asking.events()))
    before = [calls(asking_server, method) for method in ("FindMissingChunks", "UploadChunks", "CreateModel")]
    ran = run_cli("push", model, weights, "--tag", "cost_per_inference=-1", address=asking_server.address)
    assert (ran.code, ran.out) == (1, "")
    first, *violations = ran.err.splitlines()
    assert first.startswith(f"error: SCHEMA_VIOLATED: what is recorded for {model} breaks the schema of *, revision 0")
    assert [line.split(":")[0] for line in violations] == [
        f"  tags.{name}" for name in ("data_sensitivity", "dataset_version", "hardware_target", "cost_per_inference")
    ]
    after = [calls(asking_server, method) for method in ("FindMissingChunks", "UploadChunks", "CreateModel")]
    assert after == before
    assert model not in [each.name for each in asking.models()]
    assert len(list(asking.events())) == events


def test_a_script_reads_the_violations(
    asking_server: RunningServer, run_cli: RunCli, prefix: str, weights: Path
) -> None:
    ran = run_cli("push", f"{prefix}.a.b", weights, "--json", address=asking_server.address)
    assert (ran.code, ran.err) == (1, "")
    error = ran.json["error"]
    assert (error["code"], error["reason"]) == ("INVALID_ARGUMENT", "SCHEMA_VIOLATED")
    assert error["details"] == {"prefix": "*", "revision": "0"}
    assert [item["path"] for item in error["violations"]] == [f"tags.{name}" for name in TAGS]
    assert all(item["message"].startswith("is missing (--tag ") for item in error["violations"])


def test_with_the_tags_it_is_taken_and_says_what_it_passed(
    asking_server: RunningServer, asking: wb.Client, run_cli: RunCli, prefix: str, weights: Path
) -> None:
    ran = run_cli("push", f"{prefix}.a.b", weights, *TAG_FLAGS, "--json", address=asking_server.address)
    assert ran.code == 0, ran.out
    ref = ran.json["ref"]
    assert asking.version(ref).schema == wb.SchemaRevision("*", 0)
    shown = run_cli("show", ref, address=asking_server.address)
    assert "\n  schema                  *, revision 0\n" in shown.out
    document = run_cli("show", ref, "--json", address=asking_server.address).json
    assert document["schema"] == {"prefix": "*", "revision": 0}
    (event,) = asking.events(resource=ref)
    assert json.loads(event.after)["schema"] == {"prefix": "*", "revision": 0}


def test_where_nothing_governs_nothing_is_asked(client: wb.Client, new_model: Callable[[], str], weights: Path) -> None:
    assert client.push(new_model(), weights).version.schema is None


def test_metrics_and_files_are_asked_for_at_the_commit_and_mended_without_sending_a_byte(
    asking_server: RunningServer, asking: wb.Client, prefix: str, weights: Path
) -> None:
    asking.set_schema(
        prefix,
        {
            "required": ["description"],
            "properties": {
                "metrics": {"required": ["auc"], "properties": {"auc": {"minimum": 0.9}}},
                "files": {"contains": {"properties": {"path": {"const": "weights.bin"}}}},
                "tags": {"required": ["owner"]},
            },
        },
    )
    with asking.begin(f"{prefix}.a.b", tags={"owner": "ada"}, description="first") as version:
        version.add(weights)
        version.set_tags(owner="")  # what is there at the end counts
        version.describe("")
        version.log_metric("auc", 0.5)
        with pytest.raises(wb.SchemaViolated) as raised:
            version.commit()
        assert sorted(paths(raised)) == ["description", "metrics.auc"]
        streams = calls(asking_server, "UploadChunks")
        version.describe("first")
        version.log_metric("auc", 0.95, step=1)
        committed = version.commit()
    assert calls(asking_server, "UploadChunks") == streams
    assert committed.version.version == 1
    assert committed.version.schema == wb.SchemaRevision(prefix, 1)
    assert committed.chunks_sent == 3


def test_leaving_the_block_with_the_refusal_and_pushing_again_sends_nothing(
    asking: wb.Client, prefix: str, weights: Path
) -> None:
    asking.set_schema(prefix, {"properties": {"metrics": {"required": ["auc"]}}})
    with pytest.raises(wb.SchemaViolated), asking.begin(f"{prefix}.a.b") as version:
        version.add(weights)
    assert list(asking.versions(f"{prefix}.a.b")) == []
    version.abort()
    again = asking.push(f"{prefix}.a.b", weights, metrics={"auc": 1.0})
    assert (again.chunks_total, again.chunks_sent) == (3, 0)
    assert again.version.version == 1, "a refused commit takes no number"


def test_what_was_trained_is_not_lost_by_the_refusal_and_is_mended_after_the_block(
    asking: wb.Client, prefix: str, weights: Path
) -> None:
    asking.set_schema(prefix, {"properties": {"metrics": {"required": ["auc"]}, "tags": {"required": ["owner"]}}})
    with pytest.raises(wb.SchemaViolated) as raised, asking.begin(f"{prefix}.a.b", tags={"owner": "ada"}) as version:
        version.add(weights)
        for step in range(100):
            version.log_metric("loss", 1 / (step + 1), step=step)
    assert str(raised.value).splitlines()[1].startswith("  metrics.auc: "), "where nobody catches it, a log says it all"
    assert any("call its commit()" in note for note in raised.value.__notes__)
    wait_until(lambda: "weighbridge-lease" not in {thread.name for thread in threading.enumerate()})
    version.log_metric("auc", 0.9)
    committed = version.commit()
    assert committed.version.ref == f"{prefix}.a.b:1"
    assert [metric.points for metric in asking.version(f"{prefix}.a.b:1").metrics or ()] == [1, 100]


def test_a_push_that_is_refused_leaves_no_upload_behind(asking: wb.Client, prefix: str, weights: Path) -> None:
    asking.create_model(f"{prefix}.a.b")
    asking.set_schema(prefix, {"properties": {"metrics": {"required": ["auc"]}}})
    with pytest.raises(wb.SchemaViolated):
        asking.push(f"{prefix}.a.b", weights)
    assert asking.delete_model(f"{prefix}.a.b", reason="nothing holds it").deletion is not None


def test_a_schema_may_ask_for_what_is_captured(
    asking: wb.Client, asking_server: RunningServer, run_cli: RunCli, prefix: str, weights: Path, tmp_path: Path
) -> None:
    asking.set_schema(
        prefix,
        {
            "required": ["source", "environment"],
            "properties": {"source": {"required": ["commit"], "properties": {"dirty": {"const": False}}}},
        },
    )
    repository = tmp_path / "repository"
    repository.mkdir()

    def push(*flags: str) -> Any:
        return run_cli(
            "push", f"{prefix}.a.b", weights, *flags, "--json", address=asking_server.address, cwd=repository
        )

    uncaptured = push("--no-capture").json["error"]["violations"]
    assert [item["path"] for item in uncaptured] == ["source", "environment"]
    assert [item["path"] for item in push().json["error"]["violations"]] == ["source.commit"]
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "t"], cwd=repository, check=True)
    (repository / "new").write_text("untracked")
    streams = calls(asking_server, "UploadChunks")
    assert [item["path"] for item in push().json["error"]["violations"]] == ["source.dirty"]
    assert calls(asking_server, "UploadChunks") == streams
    (repository / "new").unlink()
    pushed = push()
    assert pushed.code == 0, pushed.out
    assert asking.version(pushed.json["ref"]).schema == wb.SchemaRevision(prefix, 1)


def test_a_schema_set_meanwhile_counts_at_the_commit(asking: wb.Client, prefix: str, weights: Path) -> None:
    model = f"{prefix}.a.b"
    with asking.begin(model, tags=TAGS) as version:
        version.add(weights)
        asking.set_schema(model, {"properties": {"tags": {"required": ["owner"]}}})
        with pytest.raises(wb.SchemaViolated) as raised:
            version.commit()
        assert paths(raised) == ["tags.owner"]
        version.set_tags(owner="ada")
    assert version.result is not None
    assert version.result.version.schema == wb.SchemaRevision(model, 1)


def test_old_versions_keep_the_revision_that_they_passed(asking: wb.Client, prefix: str, weights: Path) -> None:
    model = f"{prefix}.a.b"
    first = asking.push(model, weights, tags=TAGS).version
    asking.set_schema(prefix, {"properties": {"tags": {"required": ["owner"]}}})
    with pytest.raises(wb.SchemaViolated):
        asking.push(model, weights, tags=TAGS)
    second = asking.push(model, weights, tags={"owner": "ada"}).version
    asking.set_schema(prefix, {})
    third = asking.push(model, weights).version
    assert [each.schema for each in (first, second, third)] == [
        wb.SchemaRevision("*", 0),
        wb.SchemaRevision(prefix, 1),
        wb.SchemaRevision(prefix, 2),
    ]
    assert asking.version(first.ref).schema == wb.SchemaRevision("*", 0)
    assert [each.schema for each in asking.versions(model)] == [third.schema, second.schema, first.schema]


def test_tags_that_change_later_are_held_to_the_revision_that_was_passed(
    asking: wb.Client, prefix: str, weights: Path
) -> None:
    asking.set_schema(prefix, {"properties": {"tags": {"required": ["owner"], "properties": {"n": {"maximum": 3}}}}})
    ref = asking.push(f"{prefix}.a.b", weights, tags={"owner": "ada"}).version.ref
    asking.set_schema(prefix, {"properties": {"tags": {"required": ["ticket"]}}})
    with pytest.raises(wb.SchemaViolated) as raised:
        asking.update_version(ref, set_tags={"n": 4}, remove_tags=["owner"])
    assert paths(raised) == ["tags.owner", "tags.n"]
    assert raised.value.details == {"prefix": prefix, "revision": "1"}
    updated = asking.update_version(ref, set_tags={"n": 3, "owner": "grace"})
    assert updated.record is not None
    assert updated.record.tags == {"n": 3, "owner": "grace"}
    assert updated.schema == wb.SchemaRevision(prefix, 1)


def test_the_server_checks_by_itself(asking_server: RunningServer, prefix: str) -> None:
    with RawClient(asking_server.address) as raw:
        refusal = refused(lambda: raw.begin(f"{prefix}.a.b"))
        assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "SCHEMA_VIOLATED")
        assert [path for path, _ in refusal.violations] == [f"tags.{name}" for name in TAGS]
        # A model that is there is told the same; one that is not is missed only when all else is right.
        raw.models.CreateModel(models_pb2.CreateModelRequest(name=f"{prefix}.a.b"))
        assert refused(lambda: raw.begin(f"{prefix}.a.b")).reason == "SCHEMA_VIOLATED"
        request = versions_pb2.BeginVersionRequest(model=f"{prefix}.a.c")
        for name, value in TAGS.items():
            request.record.tags[name].CopyFrom(convert.scalar_message(value))
        assert refused(lambda: raw.versions.BeginVersion(request)).reason == "MODEL_NOT_FOUND"


def test_a_refused_begin_can_be_tried_again_with_its_request_id(asking_server: RunningServer, prefix: str) -> None:
    with RawClient(asking_server.address) as raw:
        raw.create(f"{prefix}.a.b")
        request = versions_pb2.BeginVersionRequest(request_id=f"{prefix}-1", model=f"{prefix}.a.b")
        for _ in range(2):
            assert refused(lambda: raw.versions.BeginVersion(request)).reason == "SCHEMA_VIOLATED"
        request.record.tags["owner"].string_value = "ada"
        assert refused(lambda: raw.versions.BeginVersion(request)).reason == "SCHEMA_VIOLATED"


def test_more_than_a_status_carries_is_counted(asking: wb.Client, prefix: str) -> None:
    names = [f"tag-{number:03}-{'x' * 80}" for number in range(500)]
    asking.set_schema(prefix, {"properties": {"tags": {"required": names}}})
    with pytest.raises(wb.SchemaViolated) as raised:
        asking.begin(f"{prefix}.a.b")
    shown = paths(raised)
    assert shown == [f"tags.{name}" for name in names[: len(shown)]]
    assert len(shown) > 10
    assert int(raised.value.details["violations_left_out"]) == 500 - len(shown)
    assert str(raised.value).endswith(f"… and {500 - len(shown)} more")


def test_the_shipped_schema_can_be_turned_off(data_dir: Path, weights: Path) -> None:
    server = RunningServer(data_dir, ("--no-default-schema",), AS_SHIPPED).start()
    try:
        with server.connect() as client:
            assert client.push("a.b.c", weights).version.schema is None
            assert client.schemas() == []
            with pytest.raises(wb.SchemaNotFound):
                client.schema("a.b.c")
            assert client.schema("*", 0).json_schema is not None, "versions of before say that they passed it"
    finally:
        server.stop()


def test_what_is_refused_is_refused_again_while_the_lock_is_free(asking: wb.Client, prefix: str, weights: Path) -> None:
    """A refusal is a rollback: the model's row, and the schemas, are free for the next."""
    asking.set_schema(prefix, {"properties": {"metrics": {"required": ["auc"]}}})
    with asking.begin(f"{prefix}.a.b") as version:
        version.add(weights)
        for _ in range(3):
            with pytest.raises(wb.SchemaViolated):
                version.commit()
            asking.set_schema(f"{prefix}.other", {"title": os.urandom(4).hex()})
        version.log_metric("auc", 1.0)
