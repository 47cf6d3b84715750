"""A recipe gives a version back: followed to the letter it makes the same bytes again."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from reproduce_fixtures import NewModel, clone, git, origin, plain_git
from weighbridge.core.digest import format_digest

__all__ = ["clone", "origin", "plain_git"]

PARAMS = {"seed": 7, "layers": 12, "lr": 1.0, "amp": True, "schedule": "cosine 'a\"b' $HOME\n`x`", "名前": "🦊"}
FILES = "README.md datasets.json lock/uv.lock params.json recipe.json requirements.txt run.sh".split()
NETWORK = re.compile(r"^(python3\.\d+ -m venv|\. \.\./venv/bin|python -m pip)\b.*$", re.MULTILINE)

Train = Callable[..., str]


@pytest.fixture
def train(server: RunningServer, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains in the clone as a person does; returns the version's reference."""
    monkeypatch.setenv("WEIGHBRIDGE_SERVER", server.address)
    params = tmp_path / "given.json"
    params.write_text(json.dumps(PARAMS))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "train.py", *arguments],
            cwd=clone / "jobs",
            env={**os.environ, "PARAMS": str(params)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def follow(readme: str, folder: Path, output: str) -> str:
    """Runs the commands of a README in its folder; the environment is this one, as a test installs nothing."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", readme, re.DOTALL))
    script = NETWORK.sub("", blocks).replace("FOLDER", output)
    environment = {**os.environ, "PARAMS": str(folder / "params.json")}
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.long
def test_following_a_recipe_makes_the_same_bytes(
    train: Train, run_cli: RunCli, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    model = new_model()
    ref = train(model, "two words", "it's", "$HOME", "line\nbreak", "", " ", "名前=🦊", "--hf-token", "s3cr3t")
    wrote = run_cli("reproduce", ref, "--json", cwd=tmp_path)
    assert (wrote.code, wrote.err) == (0, "")
    folder = tmp_path / f"reproduce-{model}-1"
    assert wrote.json["path"] == folder.name
    printed = follow((folder / "README.md").read_text(), folder, "jobs/out")
    assert f"this environment is as that of {ref}" in printed
    assert f"\n{model}:2\n" in printed
    assert f"jobs/out is {model}:" in printed
    first, second = client.version(ref), client.version(f"{model}:2")
    assert second.manifest == first.manifest
    assert second.record is not None
    assert first.record is not None
    assert second.record.params == first.record.params == PARAMS
    assert second.record.datasets == first.record.datasets
    assert second.record.source is not None
    assert first.record.source is not None
    assert second.record.source.command == (*("python", *first.record.source.command[1:]),)


def test_a_folder_has_everything_that_is_known(
    train: Train, run_cli: RunCli, client: wb.Client, new_model: NewModel, clone: Path, tmp_path: Path
) -> None:
    ref = train(new_model(), "--api-key=s3cr3t")
    wrote = run_cli("reproduce", ref, tmp_path / "again", "--json", cwd=clone)
    folder = tmp_path / "again"
    assert wrote.json.keys() == {"ref", "path", "files", "gaps"}
    assert (wrote.json["ref"], wrote.json["path"], wrote.json["files"]) == (ref, str(folder), FILES)
    assert json.loads((folder / "params.json").read_text()) == PARAMS
    assert '"lr": 1.0' in (folder / "params.json").read_text(), "a kind of number is kept"
    assert "🦊" in (folder / "params.json").read_text()
    (dataset,) = json.loads((folder / "datasets.json").read_text())
    assert dataset["uri"] == "s3://data/transactions"
    assert (folder / "lock" / "uv.lock").read_text() == "version = 1\n"
    assert f"numpy=={np.__version__}\n" in (folder / "requirements.txt").read_text()
    assert stat.S_IMODE((folder / "run.sh").stat().st_mode) & 0o100
    recipe = json.loads((folder / "recipe.json").read_text())
    version = client.version(ref)
    assert (recipe["ref"], recipe["manifest_digest"]) == (ref, format_digest(version.manifest))
    assert recipe["source"]["commit"] == git(clone, "rev-parse", "HEAD")
    assert recipe["environment"]["lock_digest"].startswith("b3:")
    assert recipe["source"]["command"][-1] == "--api-key=[redacted]"
    assert [file["path"] for file in recipe["files"]] == ["weights.npy"]
    assert recipe["gaps"] == wrote.json["gaps"]
    assert "s3cr3t" not in "".join(file.read_text() for file in folder.rglob("*") if file.is_file())


def test_a_recipe_in_a_clone_is_no_change_of_the_code(
    train: Train, run_cli: RunCli, new_model: NewModel, clone: Path
) -> None:
    ref = train(new_model())
    assert run_cli("reproduce", "-q", ref, cwd=clone).out == f"reproduce-{ref.replace(':', '-')}\n"
    assert git(clone, "status", "--porcelain") == ""
    assert run_cli("reproduce", ref, "--check", cwd=clone).code == 0


def test_the_lock_file_comes_out_of_the_commit(
    train: Train, client: wb.Client, new_model: NewModel, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = train(new_model())
    (clone / "jobs" / "uv.lock").write_text("version = 2\n")
    monkeypatch.chdir(clone)
    recipe = client.recipe(ref)
    assert recipe.lock is not None
    assert (recipe.lock.path, recipe.lock.content) == ("jobs/uv.lock", b"version = 1\n")
    monkeypatch.chdir(tmp_path)
    recipe = client.recipe(ref)
    assert recipe.lock is None
    assert "lock/uv.lock" not in recipe.contents()
    assert any("lock file" in gap for gap in recipe.gaps)


def test_a_lock_file_that_was_changed_after_the_commit_is_not_taken_from_it(
    train: Train, client: wb.Client, new_model: NewModel, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "jobs" / "uv.lock").write_text("version = 2\n")
    ref = train(new_model())
    monkeypatch.chdir(clone)
    recipe = client.recipe(ref)
    assert recipe.lock is not None, "it is still in the working tree, though not in this folder"
    assert (recipe.lock.path, recipe.lock.content) == ("", b"version = 2\n")
    git(clone, "checkout", "--", ".")
    recipe = client.recipe(ref)
    assert recipe.lock is None
    assert any("lock file" in gap for gap in recipe.gaps)
    assert any("Tracked files differed" in gap for gap in recipe.gaps)


def test_run_sh_asks_for_what_was_left_out(
    train: Train, client: wb.Client, new_model: NewModel, clone: Path, tmp_path: Path
) -> None:
    recipe = client.recipe(train(new_model(), "--api-key", "s3cr3t"))
    script = recipe.write(tmp_path / "recipe") / "run.sh"
    done = subprocess.run(["sh", script], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "SECRET_1: was not recorded" in done.stderr
    assert any("`SECRET_1` (after `--api-key`)" in gap for gap in recipe.gaps)
    elsewhere = subprocess.run(["sh", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert elsewhere.returncode == 1
    assert "not the root of the clone" in elsewhere.stderr


def test_a_push_from_the_command_line_has_nothing_to_run(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, clone: Path, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    ref = run_cli("push", "-q", new_model(), tmp_path / "weights.bin", cwd=clone).out.strip()
    recipe = client.recipe(ref)
    assert "run.sh" not in recipe.contents()
    assert any("pushed from the command line" in gap for gap in recipe.gaps)
    assert "weighbridge.cli.main push" in recipe.contents()["README.md"].decode()


def test_a_version_without_a_capture_gives_what_it_has(client: wb.Client, new_model: NewModel, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    ref = client.push(new_model(), tmp_path / "weights.bin", params={"lr": 0.5}, capture=False).version.ref
    folder = client.recipe(ref).write(tmp_path / "recipe")
    assert sorted(file.name for file in folder.iterdir()) == [
        *(".gitignore", "README.md", "datasets.json", "params.json", "recipe.json"),
    ]
    assert json.loads((folder / "params.json").read_text()) == {"lr": 0.5}
    text = (folder / "README.md").read_text()
    assert "No commit was recorded" in text
    assert "The environment was not recorded" in text
