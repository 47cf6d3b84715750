"""The API as another language or a person with a debugging tool meets it: reflection, health, plain calls."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

import weighbridge as wb
from alias_fixtures import pushed
from conftest import RunningServer
from weighbridge.core.digest import chunk_digest
from weighbridge.v1 import transfer_pb2, transfer_pb2_grpc, versions_pb2, versions_pb2_grpc

BUF = shutil.which("buf", path=str(Path(sys.executable).parent)) or "buf"


@pytest.fixture
def curl(server: RunningServer, tmp_path: Path) -> Callable[..., Any]:
    """Calls a method over reflection, with the default limits of a connection; returns its answers."""

    def call(method: str, **request: object) -> list[dict[str, Any]]:
        command = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--data", json.dumps(request)]
        done = subprocess.run(
            [*command, f"http://{server.address}/weighbridge.v1.{method}"],
            capture_output=True,
            text=True,
            env={**os.environ, "BUF_CACHE_DIR": str(tmp_path)},
            check=False,
        )
        if done.returncode:
            raise ValueError(done.stderr)
        decoder, answers, text = json.JSONDecoder(), [], done.stdout.strip()
        while text:
            answer, end = decoder.raw_decode(text)
            answers.append(answer)
            text = text[end:].lstrip()
        return answers

    return call


def list_methods(server: RunningServer, tmp_path: Path) -> list[str]:
    """Every method that reflection names."""
    done = subprocess.run(
        [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-methods", f"http://{server.address}"],
        capture_output=True,
        text=True,
        env={**os.environ, "BUF_CACHE_DIR": str(tmp_path)},
        check=True,
    )
    return done.stdout.split()


def test_reflection_lists_every_method(server: RunningServer, tmp_path: Path) -> None:
    methods = list_methods(server, tmp_path)
    for method in (
        "weighbridge.v1.ModelService/CreateModel",
        "weighbridge.v1.ModelService/UpdateModel",
        "weighbridge.v1.ModelService/DeleteModel",
        "weighbridge.v1.ModelService/RestoreModel",
        "weighbridge.v1.VersionService/CommitVersion",
        "weighbridge.v1.TransferService/UploadChunks",
        "weighbridge.v1.LifecycleService/Promote",
        "weighbridge.v1.LifecycleService/Rollback",
        "weighbridge.v1.JournalService/VerifyJournal",
        "grpc.health.v1.Health/Check",
    ):
        assert method in methods


def test_a_model_is_created_listed_and_read(
    curl: Callable[..., Any], client: wb.Client, new_model: Callable[[], str], tmp_path: Path
) -> None:
    name = new_model()
    (model,) = curl("ModelService/CreateModel", name=name, description="made by hand")
    assert (model["name"], model["description"]) == (name, "made by hand")
    weights = tmp_path / "weights.bin"
    weights.write_bytes(os.urandom(5_000_000))
    client.push(name, weights)
    (versions,) = curl("VersionService/ListVersions", model=name)
    assert [version["ref"] for version in versions["versions"]] == [f"{name}:1"]
    answers = curl("TransferService/ReadFile", ref=name, path="weights.bin", limitBytes=16)
    assert b"".join(base64.b64decode(answer["data"]) for answer in answers) == weights.read_bytes()[:16]
    answers = curl("TransferService/ReadFile", ref=name, path="weights.bin", offsetBytes=2_000_000)
    assert b"".join(base64.b64decode(answer["data"]) for answer in answers) == weights.read_bytes()[2_000_000:]


def test_a_model_is_described_deleted_and_restored_by_hand(
    curl: Callable[..., Any], new_model: Callable[[], str]
) -> None:
    name = new_model()
    curl("ModelService/CreateModel", name=name, team="risk")
    (model,) = curl("ModelService/UpdateModel", name=name, card="# Größe", description="")
    assert (model["card"], model["team"], "description" in model) == ("# Größe", "risk", False)
    (model,) = curl("ModelService/DeleteModel", name=name, reason="by hand")
    assert model["deletion"]["reason"] == "by hand"
    with pytest.raises(ValueError, match="not_found") as refused:
        curl("ModelService/GetModel", name=name)
    assert details(refused)[0].reason == "MODEL_DELETED"
    answers = [
        curl("ModelService/ListModels", pageSize=1000, **shown)[0].get("models", [])
        for shown in ({}, {"showDeleted": True})
    ]
    assert [name in [one["name"] for one in models] for models in answers] == [False, True]
    assert curl("ModelService/RestoreModel", name=name)[0]["card"] == "# Größe"


def test_a_version_is_promoted_and_rolled_back_by_hand(
    curl: Callable[..., Any], client: wb.Client, new_model: Callable[[], str], tmp_path: Path
) -> None:
    model = pushed(client, new_model(), 2, tmp_path)
    for number in "12":
        for stage in ("STAGE_STAGING", "STAGE_PRODUCTION"):
            (made,) = curl("LifecycleService/Promote", ref=f"{model}:{number}", stage=stage)
    assert (made["displacedRef"], made["displacedStage"]) == (f"{model}:1", "STAGE_ARCHIVED")
    assert made["version"]["aliases"] == ["production"]
    (held,) = curl("LifecycleService/Rollback", model=model, alias="production", reason="by hand")
    assert (held["ref"], held["previousRef"], held["reason"]) == (f"{model}:1", f"{model}:2", "by hand")
    (listed,) = curl("LifecycleService/ListAliases", model=model)
    assert listed["aliases"] == [held]
    with pytest.raises(ValueError, match="aborted") as refused:
        curl("LifecycleService/Rollback", model=model, alias="production", reason="x", expectedRevision="1")
    info, _ = details(refused)
    assert (info.reason, info.metadata["value"]) == ("REVISION_CONFLICT", f"{model}:1")
    assert info.metadata["revision"] == held["revision"]


def details(refused: pytest.ExceptionInfo[ValueError]) -> tuple[error_details_pb2.ErrorInfo, list[str]]:
    """The reason and the violated fields of an error that ``buf curl`` printed."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in json.loads(str(refused.value))["details"]:
        message = {"google.rpc.ErrorInfo": info, "google.rpc.BadRequest": bad}[detail["type"]]
        message.ParseFromString(base64.b64decode(detail["value"] + "=="))
    return info, [violation.field for violation in bad.field_violations]


def test_an_error_says_everything_that_is_wrong(curl: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="invalid_argument") as refused:
        curl("ModelService/CreateModel", name="No.Good")
    info, fields = details(refused)
    assert (info.domain, info.reason) == ("weighbridge", "INVALID_NAME")
    assert fields == ["name", "name.project", "name.task"]


def test_the_rules_of_the_protos_are_kept_at_the_edge(curl: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="invalid_argument") as refused:
        curl("VersionService/CommitVersion", uploadId="", manifestDigest="b3:short")
    info, fields = details(refused)
    assert info.reason == "INVALID_REQUEST"
    assert fields == ["upload_id", "manifest_digest"]


def test_health_says_serving(server: RunningServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", "weighbridge.v1.TransferService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_chunk_that_is_not_what_it_says_is_refused(server: RunningServer, new_model: Callable[[], str]) -> None:
    """By hand, as a faulty client would: nothing of the chunk is kept."""
    with grpc.insecure_channel(server.address) as channel, server.connect() as client:
        model = client.create_model(new_model()).name
        versions = versions_pb2_grpc.VersionServiceStub(channel)
        transfer = transfer_pb2_grpc.TransferServiceStub(channel)
        upload_id = versions.BeginVersion(versions_pb2.BeginVersionRequest(model=model)).upload_id
        digest = chunk_digest(b"what it says")
        chunk = transfer_pb2.Chunk(
            digest=digest, raw_bytes=12, codec=transfer_pb2.CODEC_RAW, payload=b"what it isn't"[:12]
        )
        messages = [
            transfer_pb2.UploadChunksRequest(open=transfer_pb2.OpenUpload(upload_id=upload_id)),
            transfer_pb2.UploadChunksRequest(chunk=chunk),
        ]
        with pytest.raises(grpc.RpcError) as refused:
            list(transfer.UploadChunks(iter(messages)))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        asked = transfer_pb2.FindMissingChunksRequest(upload_id=upload_id, digests=[digest])
        assert list(transfer.FindMissingChunks(asked).missing) == [digest]


def test_a_durable_ack_comes_without_half_closing(server: RunningServer, new_model: Callable[[], str]) -> None:
    """A client that keeps its stream open learns that its chunk is safe."""
    with grpc.insecure_channel(server.address) as channel, server.connect() as client:
        model = client.create_model(new_model()).name
        versions = versions_pb2_grpc.VersionServiceStub(channel)
        transfer = transfer_pb2_grpc.TransferServiceStub(channel)
        upload_id = versions.BeginVersion(versions_pb2.BeginVersionRequest(model=model)).upload_id
        raw = os.urandom(1000)
        chunk = transfer_pb2.Chunk(digest=chunk_digest(raw), raw_bytes=1000, codec=transfer_pb2.CODEC_RAW, payload=raw)
        said: list[str | None] = []

        def messages() -> Any:
            yield transfer_pb2.UploadChunksRequest(open=transfer_pb2.OpenUpload(upload_id=upload_id))
            yield transfer_pb2.UploadChunksRequest(chunk=chunk)
            assert ended.wait(60)  # still open: the durable ack must come all the same

        ended = threading.Event()
        call = transfer.UploadChunks(messages())
        for response in call:
            said.append(response.WhichOneof("message"))
            if said[-1] == "durable":
                break
        ended.set()
        call.cancel()
        assert said == ["verified", "durable"]
