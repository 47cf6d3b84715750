"""A repository with a training script, and versions that record what a test wants them to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import RawClient, file_of, manifest_of, raw_chunk
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert

NewModel = Callable[[], str]
PushRecord = Callable[[wb.Record], str]

TRAIN = '''
"""Makes weights from a seed and the parameters, and pushes them."""
import json, os, sys
import numpy as np
import weighbridge as wb
with open(os.environ["PARAMS"], encoding="utf-8") as file:
    params = json.load(file)
random = np.random.default_rng(params["seed"])
os.makedirs("out", exist_ok=True)
np.save("out/weights.npy", random.normal(size=(params["layers"], 1000)) * params["lr"])
data = [wb.Dataset("transactions", "2026-10", "sha256:00", "s3://data/transactions", "train")]
with wb.connect() as client, client.begin(sys.argv[1], params=params, datasets=data) as version:
    version.add("out")
print(version.result.version.ref)
'''


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def plain_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """A git without the settings of whoever runs the tests, and programs where a shell finds them."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.delenv("WEIGHBRIDGE_CONTAINER_IMAGE", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Where the code is kept."""
    path = tmp_path / "origin"
    (path / "jobs").mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "jobs" / "train.py").write_text(TRAIN)
    (path / "jobs" / "uv.lock").write_text("version = 1\n")
    (path / ".gitignore").write_text("out/\n")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "first")
    return path


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    """Where somebody works on it."""
    path = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(origin), str(path))
    return path


@pytest.fixture
def push_record(server: RunningServer, new_model: NewModel) -> PushRecord:
    """Pushes a version with just this record; returns its reference."""

    def push(record: wb.Record) -> str:
        message = convert.record_message(record)
        with RawClient(server.address) as raw:
            model = raw.create(new_model())
            upload = raw.versions.BeginVersion(versions_pb2.BeginVersionRequest(model=model, record=message)).upload_id
            raw.send(upload, raw_chunk(b"weights"))
            entry, chunks = file_of("weights.bin", b"weights")
            raw.put(upload, entry, chunks)
            return raw.versions.CommitVersion(
                versions_pb2.CommitVersionRequest(upload_id=upload, manifest_digest=manifest_of(entry), record=message)
            ).ref

    return push


@pytest.fixture
def record_here(run_cli: RunCli, client: wb.Client, new_model: NewModel, clone: Path, tmp_path: Path) -> wb.Record:
    """What a push from the clone records."""
    (tmp_path / "weights.bin").write_bytes(b"weights")
    ref = run_cli("push", "-q", new_model(), tmp_path / "weights.bin", cwd=clone / "jobs").out.strip()
    record = client.version(ref).record
    assert record is not None
    return record
