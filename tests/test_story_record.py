"""The story of a drop, through the SDK: a real model trained three times, recorded, found, compared, explained, and
made again from its recipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import weighbridge as wb
from conftest import RunningServer
from weighbridge.core.comparison import SuspectKind

# Logistic regression by gradient descent.
TRAIN = """
import json
import os
import sys
from pathlib import Path

import numpy as np
from blake3 import blake3

import weighbridge as wb

model, data, parameters, out = sys.argv[1:]
params = json.loads(Path(parameters).read_text())
rows = np.loadtxt(data, delimiter=",")
features, labels = rows[:, :-1], rows[:, -1]
held_out = np.loadtxt(Path(data).with_name("held-out.csv"), delimiter=",")


def accuracy(weights):
    return float(((held_out[:, :-1] @ weights > 0) == held_out[:, -1]).mean())


with wb.connect() as client, client.begin(model, params=params, description="two clouds") as version:
    digest = "b3:" + blake3(Path(data).read_bytes()).hexdigest()
    version.add_dataset("clouds", version=Path(data).stem, digest=digest, role="train")
    weights = np.zeros(features.shape[1])
    for step in range(params["steps"]):
        guess = 1 / (1 + np.exp(-(features @ weights)))
        weights -= params["lr"] * features.T @ (guess - labels) / len(labels)
        version.log_metric("accuracy", accuracy(weights), step=step)
    Path(out).mkdir(exist_ok=True)
    np.save(Path(out) / "weights.npy", weights)
    version.add(out)
"""
GOOD = {"lr": 0.5, "steps": 60}


@dataclass
class Workshop:
    """A repository with the training code, and its data beside it."""

    repository: Path
    data: Path
    model: str
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        """What git says."""
        command = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments)
        return subprocess.run(command, cwd=self.repository, check=True, capture_output=True, text=True).stdout.strip()

    def train(self, data: str, params: dict[str, float], out: Path) -> None:
        """Runs the training as a person would."""
        parameters = self.data / "params.json"
        parameters.write_text(json.dumps(params))
        command = [sys.executable, "train.py", self.model, str(self.data / data), str(parameters), str(out)]
        done = subprocess.run(
            command, cwd=self.repository, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def clouds(path: Path, *, seed: int, flipped: float = 0.0) -> None:
    """Two clouds of points in six dimensions, some of them with the other's label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 400)
    points = random.normal(0, 1, (400, 6)) + np.where(labels, 1.0, -1.0)[:, None]
    labels = np.where(random.random(400) < flipped, 1 - labels, labels)
    np.savetxt(path, np.column_stack([points, labels]), delimiter=",")


@pytest.fixture
def workshop(server: RunningServer, new_model: Callable[[], str], tmp_path: Path) -> Workshop:
    """A repository with one commit, data of two months, and data that no training sees."""
    repository, data = tmp_path / "code", tmp_path / "data"
    repository.mkdir()
    data.mkdir()
    (repository / "train.py").write_text(TRAIN)
    clouds(data / "2026-10.csv", seed=1)
    clouds(data / "2026-11.csv", seed=1, flipped=0.7)
    clouds(data / "held-out.csv", seed=2)
    environment = {**os.environ, "WEIGHBRIDGE_SERVER": server.address, "PYTHONDONTWRITEBYTECODE": "1"}
    made = Workshop(repository, data, new_model(), environment)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", ".")
    made.git("commit", "--quiet", "-m", "logistic regression")
    return made


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_drop_is_found_explained_and_the_good_model_made_again(
    workshop: Workshop, client: wb.Client, tmp_path: Path
) -> None:
    name = workshop.model
    first_commit = workshop.git("rev-parse", "HEAD")
    workshop.train("2026-10.csv", GOOD, tmp_path / "out-1")
    workshop.train("2026-11.csv", GOOD, tmp_path / "out-2")  # the data changed, and nothing else
    code = workshop.repository / "train.py"
    code.write_text(code.read_text().replace("- labels)", "- (1 - labels))"))
    workshop.git("commit", "--quiet", "-am", "a mistake")
    workshop.train("2026-10.csv", {**GOOD, "lr": 0.05}, tmp_path / "out-3")  # code and a parameter did

    # Record: everything is there without being asked for.
    good = client.version(f"{name}:1")
    assert good.record is not None
    assert good.record.source is not None
    assert good.record.environment is not None
    assert (good.record.source.commit, good.record.source.dirty) == (first_commit, False)
    assert good.record.environment.packages["numpy"] == np.__version__
    assert good.record.params == GOOD
    curve = client.metrics(f"{name}:1")["accuracy"]
    assert len(curve.values) == GOOD["steps"]

    # Find.
    best = good.metrics[0].latest if good.metrics else 0.0
    assert best > 0.9
    worse = client.search(f'model == "{name}" && metrics.accuracy < {best - 0.1}', order_by="version")
    assert [version.ref for version in worse] == [f"{name}:2", f"{name}:3"]
    digest = good.record.datasets[0].digest
    trained_on = client.search(f'datasets.exists(d, d.digest == "{digest}")', model=name, order_by="version")
    assert [version.ref for version in trained_on] == [f"{name}:1", f"{name}:3"]

    # Compare, and explain: each drop has its own suspects, and no other.
    compared = client.compare(f"{name}:1", f"{name}:2", f"{name}:3")
    (accuracy,) = compared.metrics
    assert not accuracy.lower_is_better
    assert list(accuracy.better) == [None, False, False]
    by_data, by_code = compared.suspects
    assert (by_data.version_index, list(by_data.metrics)) == (1, ["accuracy"])
    # The data is named first; the command differs too, in the argument that names it, and the commit does not.
    assert list(by_data.changes) == [SuspectKind.DATA, SuspectKind.CODE]
    assert all("command" in change for change in by_data.changes[SuspectKind.CODE])
    assert "2026-10" in by_data.changes[SuspectKind.DATA][0]
    assert "2026-11" in by_data.changes[SuspectKind.DATA][0]
    assert (by_code.version_index, set(by_code.changes)) == (2, {SuspectKind.CODE, SuspectKind.PARAMETERS})
    assert any("lr" in change for change in by_code.changes[SuspectKind.PARAMETERS])

    # Reproduce: the recipe, and nothing else, makes the same bytes.
    recipe = client.recipe(f"{name}:1")
    folder = recipe.write(tmp_path / "recipe")
    clone = tmp_path / "clone"
    workshop.git("clone", "--quiet", str(workshop.repository), str(clone))
    source = json.loads((folder / "recipe.json").read_text())["source"]
    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", source["commit"]], check=True)
    (workshop.data / "params.json").write_text((folder / "params.json").read_text())
    subprocess.run([str(folder / "run.sh")], cwd=clone, env=workshop.environment, check=True, capture_output=True)
    again = client.version(f"{name}:4")
    assert again.manifest == good.manifest
    same = client.compare(f"{name}:1", f"{name}:4")
    assert list(same.suspects) == []
    assert [metric.differences[1] for metric in same.metrics] == [0.0]
    assert not [each for each in (*same.params, *same.datasets, *same.packages) if each.differs]
    # A clone has another remote, and the commit is checked out without a branch.
    assert {each.name for each in same.source if each.differs} == {"branch", "repository"}
