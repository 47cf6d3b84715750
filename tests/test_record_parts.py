"""Signature and energy by the SDK, and every part of a record by the API: kept as given, checked twice, frozen."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import RawClient, file_of, manifest_of, raw_chunk, refused
from weighbridge.v1 import records_pb2, versions_pb2
from weighbridge.wire import convert

NewModel = Callable[[], str]

WHOLE = wb.Record(
    description="naïve 🦊 模型",
    params={"lr": 3e-4, "名": "🌿"},
    tags={"größe": True},
    datasets=(wb.Dataset("données", "2026‑10", "sha256:00", "s3://ведро", "train"),),
    source=wb.SourceCode(
        repository="https://example.org/模型.git",
        commit="0123456789abcdef0123456789abcdef01234567",
        branch="ветка/🌿",
        dirty=True,
        diff_digest="b3:" + "01" * 32,
        untracked_digest="b3:" + "02" * 32,
        entry_point="träin.py",
        command=("python", "träin.py", "--naïve", ""),
    ),
    environment=wb.Environment(
        python="3.11.7",
        implementation="CPython",
        os="Debian 🐧",
        platform="Linux 6.1 x86_64",
        cpu="AMD EPYC",
        cpu_count=96,
        accelerators=(wb.Accelerator("NVIDIA Ä100", 80 * 2**30, "550"), wb.Accelerator("other")),
        container_image="registry/bild@sha256:00",
        packages={"numpy": "2.0", "ünïcode": "1.0+🦊"},
        packages_left_out=3,
        lock_file="uv.lock",
        lock_digest="b3:" + "03" * 32,
        host="größe",
        user="ада",
    ),
    signature=wb.Signature(
        inputs=(wb.TensorSpec("tokens 🦊", "int64", (-1, 512)),),
        outputs=(wb.TensorSpec("score", "float32", ()), wb.TensorSpec("état", "", (0, 2**53 - 1))),
    ),
    energy=wb.Energy(kwh=0.0, gco2e=1.5, region="Île-de-France", method="Zähler 🔌"),
)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    with RawClient(server.address) as raw:
        yield raw


def commit_of(upload_id: str, manifest: str, record: wb.Record) -> versions_pb2.CommitVersionRequest:
    message = convert.record_message(record)
    return versions_pb2.CommitVersionRequest(upload_id=upload_id, manifest_digest=manifest, record=message)


def test_every_field_survives_and_the_record_is_frozen_by_its_commit(
    raw: RawClient, client: wb.Client, new_model: NewModel, run_cli: RunCli
) -> None:
    upload_id = raw.begin(raw.create(new_model()))
    raw.send(upload_id, raw_chunk(b"weights"))
    entry, chunks = file_of("weights.bin", b"weights")
    raw.put(upload_id, entry, chunks)
    commit = commit_of(upload_id, manifest_of(entry), WHOLE)
    ref = raw.versions.CommitVersion(commit).ref
    assert raw.versions.CommitVersion(commit).ref == ref, "the same payload again"
    other = commit_of(upload_id, manifest_of(entry), wb.Record())
    assert refused(lambda: raw.versions.CommitVersion(other)).reason == "UPLOAD_ENDED"
    assert client.version(ref).record == WHOLE
    document = run_cli("show", "--json", ref).json
    assert document["source"]["command"] == ["python", "träin.py", "--naïve", ""]
    assert document["environment"]["accelerators"][0] == {
        "name": "NVIDIA Ä100",
        "memory_bytes": 80 * 2**30,
        "driver": "550",
    }
    assert document["signature"]["inputs"] == [{"name": "tokens 🦊", "dtype": "int64", "shape": [-1, 512]}]
    assert document["energy"] == {"kwh": 0.0, "gco2e": 1.5, "region": "Île-de-France", "method": "Zähler 🔌"}
    shown = run_cli("show", ref).out
    for said in (
        "https://example.org/模型.git, commit 0123456789ab, branch ветка/🌿",
        "tracked files changed (b3:0101010101010101…), untracked files (b3:0202020202020202…)",
        "python träin.py --naïve ''",
        "CPython 3.11.7, Debian 🐧, Linux 6.1 x86_64",
        "96 x AMD EPYC",
        "1 x NVIDIA Ä100 85.9 GB driver 550, 1 x other",
        "2 and 3 that there was no room for",
        "größe, user ада",
        "0 kWh, 1.5 gCO2e, Île-de-France, Zähler 🔌",
        "int64 [?, 512]",
    ):
        assert said in shown


def test_the_sdk_records_signature_and_energy(client: wb.Client, new_model: NewModel, weights: Path) -> None:
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        version.set_signature([wb.TensorSpec("x", "float32", (-1, 4))])
        version.set_signature([wb.TensorSpec("x", "float32", [-1, 8])], [wb.TensorSpec("y", "float32", [-1])])
        version.log_energy(kwh=1)
        version.log_energy(kwh=1.25, gco2e=310, region="DE", method="rack meter")
    assert version.result is not None
    assert client.version(version.result.version.ref).record == wb.Record(
        signature=wb.Signature(
            (wb.TensorSpec("x", "float32", (-1, 8)),),
            (wb.TensorSpec("y", "float32", (-1,)),),
        ),
        energy=wb.Energy(1.25, 310.0, "DE", "rack meter"),
    )
    with pytest.raises(wb.UsageError):
        version.set_signature()
    with pytest.raises(wb.UsageError):
        version.log_energy(kwh=1)


def test_what_is_no_amount_and_no_shape_is_refused_and_changes_nothing(
    client: wb.Client, new_model: NewModel, weights: Path
) -> None:
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        version.log_energy(kwh=2)
        for wrong in (math.nan, math.inf, -1.0):
            with pytest.raises(wb.InvalidRequest) as refused_energy:
                version.log_energy(gco2e=wrong)
            assert [item.path for item in refused_energy.value.violations] == ["energy.gco2e"]
            with pytest.raises(wb.InvalidRequest):
                version.set_signature([wb.TensorSpec("x", "float32", (-2,))])
    assert version.result is not None
    assert client.version(version.result.version.ref).record == wb.Record(energy=wb.Energy(kwh=2.0))


@pytest.mark.parametrize(
    ("record", "path"),
    [
        (records_pb2.Record(energy=records_pb2.Energy(kwh=math.nan)), "record.energy.kwh"),
        (records_pb2.Record(energy=records_pb2.Energy(gco2e=-1)), "record.energy.gco2e"),
        (records_pb2.Record(params={"lr": records_pb2.Value(double_value=math.inf)}), "record.params"),
        (records_pb2.Record(source=records_pb2.SourceCode(diff_digest="b3:short")), "record.source.diff_digest"),
        (
            records_pb2.Record(signature=records_pb2.Signature(inputs=[records_pb2.TensorSpec(name="x", shape=[-2])])),
            "record.signature.inputs[0].shape[0]",
        ),
        (
            records_pb2.Record(
                environment=records_pb2.Environment(
                    accelerators=[records_pb2.Accelerator(name="x", memory_bytes=2**60)]
                )
            ),
            "record.environment.accelerators[0].memory_bytes",
        ),
        (records_pb2.Record(environment=records_pb2.Environment(host="a\0b")), "environment.host"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_server_checks_what_a_client_did_not(
    raw: RawClient, new_model: NewModel, record: records_pb2.Record, path: str
) -> None:
    model = raw.create(new_model())
    request = versions_pb2.BeginVersionRequest(model=model, record=record)
    refusal = refused(lambda: raw.versions.BeginVersion(request))
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.violations
    assert all(field.startswith(path) for field, _ in refusal.violations)


@pytest.mark.skipif(importlib.util.find_spec("codecarbon") is not None, reason="codecarbon is installed")
def test_tracking_energy_says_what_it_needs(client: wb.Client, new_model: NewModel) -> None:
    version = client.begin(new_model(), capture=False)
    with pytest.raises(wb.UsageError, match="pip install codecarbon"), version.track_energy():
        pytest.fail("the block was entered")
    version.abort()
