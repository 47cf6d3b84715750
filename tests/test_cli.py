"""The command line, as a person and as a script use it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import WEIGHBRIDGE, RunCli, RunningServer

NewModel = Callable[[], str]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file to push."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(3_000_000))
    return path


def test_push_json_has_what_the_script_needs(run_cli: RunCli, new_model: NewModel, weights: Path) -> None:
    model = new_model()
    ran = run_cli("push", model, weights, "--json")
    assert (ran.code, ran.err) == (0, "")
    document = ran.json
    assert document.pop("seconds") > 0
    assert document.pop("manifest_digest").startswith("b3:")
    assert document == {
        "model": model,
        "version": 1,
        "ref": f"{model}:1",
        "bytes_total": 3_000_000,
        "bytes_sent": 3_000_000,
        "chunks_total": 2,
        "chunks_sent": 2,
    }


def test_every_flag_of_push_is_stored(run_cli: RunCli, new_model: NewModel, weights: Path) -> None:
    parent = run_cli("push", new_model(), weights, "--json").json["ref"]
    # fmt: off
    ref = run_cli(
        "push", new_model(), weights, "--parent", parent, "--param", "lr=3e-4", "--param", "layers=12",
        "--param", "name=base", "--param", 'zip="0123"', "--metric", "auc=0.93", "--metric", "loss=nan",
        "--tag", "gpu=true", "--dataset", "tx:2026-10", "--dataset", "plain", "--description", "größer 🚚", "--json",
    ).json["ref"]
    # fmt: on
    shown = run_cli("show", ref, "--json").json
    assert shown["params"] == {"lr": 3e-4, "layers": 12, "name": "base", "zip": "0123"}
    assert shown["metrics"] == {"auc": 0.93, "loss": "NaN"}
    assert shown["tags"] == {"gpu": True}
    assert [(item["name"], item["version"]) for item in shown["datasets"]] == [("tx", "2026-10"), ("plain", "")]
    assert shown["parents"] == [{"ref": parent, "relation": "fine-tuned"}]
    assert shown["description"] == "größer 🚚"
    assert [(file["path"], file["size_bytes"]) for file in shown["files"]] == [("weights.bin", 3_000_000)]
    text = run_cli("show", ref).out
    for expected in ("lr", "0.93", "tx", parent, "größer 🚚", "weights.bin"):
        assert expected in text


def test_pull_resolve_and_verify_in_json(run_cli: RunCli, new_model: NewModel, weights: Path, tmp_path: Path) -> None:
    model = new_model()
    pushed = run_cli("push", model, weights, "--json").json
    resolved = run_cli("--json", "resolve", model).json
    assert resolved.pop("revision") > 0
    assert resolved == {key: pushed[key] for key in ("model", "version", "ref", "manifest_digest")}
    pulled = run_cli("pull", model, tmp_path / "out", "--json").json
    assert pulled.pop("seconds") > 0
    assert pulled == {
        "ref": f"{model}:1",
        "version": 1,
        "manifest_digest": pushed["manifest_digest"],
        "bytes_total": 3_000_000,
        "bytes_received": 3_000_000,
        "chunks_total": 2,
        "chunks_received": 2,
        "path": str(tmp_path / "out"),
    }
    assert run_cli("verify", tmp_path / "out", "--json").json["ok"] is True


def test_pull_without_dest_makes_a_folder_of_the_models_name(
    run_cli: RunCli, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    model = new_model()
    run_cli("push", model, weights)
    assert run_cli("pull", f"{model}:1", cwd=tmp_path).code == 0
    assert (tmp_path / model / "weights.bin").read_bytes() == weights.read_bytes()


def test_verify_names_what_is_wrong_and_exits_3(
    run_cli: RunCli, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    model, out = new_model(), tmp_path / "out"
    run_cli("push", model, weights)
    run_cli("pull", model, out)
    with (out / "weights.bin").open("r+b") as file:
        file.seek(2_500_000)
        file.write(b"!")
    ran = run_cli("verify", out)
    assert ran.code == 3
    assert "weights.bin" in ran.out
    assert "chunk 1" in ran.out
    (out / "weights.bin").unlink()
    document = run_cli("verify", out, "--json")
    assert document.code == 3
    assert document.json["problems"] == [{"path": "weights.bin", "message": "is not there"}]


def test_verify_without_a_receipt_asks_the_server(
    run_cli: RunCli, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    ref = run_cli("push", new_model(), weights, "--json").json["ref"]
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "weights.bin").write_bytes(weights.read_bytes())
    assert ref in run_cli("verify", copied).out
    (copied / "weights.bin").write_bytes(b"something else")
    ran = run_cli("verify", copied)
    assert ran.code == 1
    assert ran.err.startswith("error: VERSION_NOT_FOUND: ")


def test_lists_in_json(run_cli: RunCli, new_model: NewModel, weights: Path) -> None:
    model = new_model()
    for _ in range(2):
        run_cli("push", model, weights)
    versions = run_cli("versions", model, "--json").json["versions"]
    assert [item["ref"] for item in versions] == [f"{model}:2", f"{model}:1"]
    assert versions[0]["stage"] == "development"
    keys = {"model", "version", "ref", "manifest_digest", "stage", "created_time", "bytes_total"}
    assert keys <= versions[0].keys()
    models = {item["name"]: item for item in run_cli("models", "--json").json["models"]}
    assert models[model]["latest_version"] == 2


def test_tables_show_whole_references(run_cli: RunCli, new_model: NewModel, weights: Path) -> None:
    model = new_model()
    run_cli("push", model, weights)
    assert f"{model}:1 " in run_cli("versions", model).out
    assert model in run_cli("models").out


@pytest.mark.parametrize(
    ("arguments", "reason", "said"),
    [
        (("resolve", "Fraud.tabular.x"), "INVALID_NAME", "name.project: 'Fraud' has 'F'"),
        (("resolve", "fraud.tabular"), "INVALID_NAME", "2 segments"),
        (("resolve", "no.such.model"), "MODEL_NOT_FOUND", "no.such.model"),
        (("resolve", "a.b.c:seven"), "INVALID_REFERENCE", "'seven'"),
        (("versions", "no.such.model"), "MODEL_NOT_FOUND", "no.such.model"),
        (("show", "no.such.model:3"), "MODEL_NOT_FOUND", "no.such.model"),
        (("pull", "no.such.model:3"), "MODEL_NOT_FOUND", "no.such.model"),
        (("push", "a.b.c", "/does/not/exist"), "SOURCE_UNREADABLE", "/does/not/exist: does not exist"),
        (("push", "a.b.c", "/dev/null"), "SOURCE_UNREADABLE", "/dev/null: is a device"),
        (("push", "a.b.c", "/etc/hostname", "--parent", "no.such.model"), "MODEL_NOT_FOUND", "no.such.model"),
        (("verify", "/does/not/exist"), "USAGE", "/does/not/exist"),
        (("models", "--server", "nonsense"), "USAGE", "HOST:PORT"),
        (("models", "--server", "127.0.0.1:1"), "UNAVAILABLE", "127.0.0.1:1"),
    ],
)
def test_a_refusal_is_one_line_with_its_violations(
    run_cli: RunCli, arguments: tuple[str, ...], reason: str, said: str
) -> None:
    ran = run_cli(*arguments)
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith(f"error: {reason}: ")
    assert said in ran.err


def test_a_refusal_in_json_is_one_document(run_cli: RunCli) -> None:
    ran = run_cli("--json", "resolve", "Fraud.Tabular.x")
    assert (ran.code, ran.err) == (1, "")
    error = ran.json["error"]
    assert (error["code"], error["reason"]) == ("INVALID_ARGUMENT", "INVALID_NAME")
    assert [item["path"] for item in error["violations"]] == ["name.project", "name.task"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("push",),
        ("push", "a.b.c", "/etc/hostname", "--param", "novalue"),
        ("push", "a.b.c", "/etc/hostname", "--metric", "auc=1", "--metric", "auc=2"),
        ("push", "a.b.c", "/etc/hostname", "--dataset", "s3://bucket/key"),
        ("fly",),
        ("resolve", "a", "b"),
    ],
)
def test_what_the_parser_refuses_exits_2(run_cli: RunCli, arguments: tuple[str, ...]) -> None:
    ran = run_cli(*arguments)
    assert ran.code == 2
    assert "Usage" in ran.err


def test_a_reader_that_stops_early_sees_no_traceback(
    run_cli: RunCli, server: RunningServer, new_model: NewModel, weights: Path
) -> None:
    model = new_model()
    run_cli("push", model, weights)
    command = " ".join((*WEIGHBRIDGE, "models", "--server", server.address))
    done = subprocess.run(f"{command} | true", shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_json_is_one_line(run_cli: RunCli) -> None:
    out = run_cli("models", "--json").out
    assert out.count("\n") == 1
    assert json.loads(out).keys() == {"models"}
