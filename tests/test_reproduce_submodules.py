"""Submodules are code too: a recipe gets them, what differs in them differs, and a check names them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import weighbridge as wb
from conftest import RunCli
from reproduce_fixtures import NewModel, git, plain_git
from weighbridge.capture.git import git_state
from weighbridge.capture.submodules import submodules

__all__ = ["plain_git"]

INITIALISE = "git submodule update --init --recursive"
Pushed = Callable[[], tuple[str, wb.SourceCode]]


@pytest.fixture(autouse=True)
def local_submodules(plain_git: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """git takes submodules from a folder only when it is told to."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")


def repository(path: Path, **inner: Path) -> Path:
    """A repository of one file, with submodules, by the names of their folders."""
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "code.py").write_text("x = 1\n")
    for name, origin in inner.items():
        git(path, "submodule", "--quiet", "add", str(origin), name)
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "first")
    return path


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with a submodule ``libs``, which has one ``deep``."""
    libs = repository(tmp_path / "libs-origin", deep=repository(tmp_path / "deep-origin"))
    return repository(tmp_path / "origin", libs=libs)


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    path = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--recurse-submodules", str(origin), str(path))
    return path


@pytest.fixture
def pushed(run_cli: RunCli, client: wb.Client, new_model: NewModel, clone: Path, tmp_path: Path) -> Pushed:
    """Pushes from the clone; returns the reference, and what was recorded."""
    (tmp_path / "weights.bin").write_bytes(b"weights")

    def push() -> tuple[str, wb.SourceCode]:
        ref = run_cli("push", "-q", new_model(), tmp_path / "weights.bin", cwd=clone).out.strip()
        record = client.version(ref).record
        assert record is not None
        assert record.source is not None
        return ref, record.source

    return push


@pytest.fixture
def check(run_cli: RunCli) -> Callable[[str, Path], Any]:
    def run(ref: str, place: Path) -> Any:
        done = run_cli("reproduce", ref, "--check", "--json", cwd=place)
        assert done.code == (0 if done.json["same"] else 3)
        return done.json

    return run


@pytest.fixture
def states(clone: Path) -> Iterator[list[str]]:
    """Digests that a test gathers; at its end none may be missing, and no two the same."""
    gathered = [git_state(clone).diff_digest]
    assert gathered == [""]
    yield gathered
    assert "" not in gathered[1:]
    assert len(set(gathered)) == len(gathered)


def commit_inside(folder: Path) -> str:
    """Moves a submodule on by a commit, which is returned."""
    (folder / "code.py").write_text("x = 2\n")
    git(folder, "commit", "--quiet", "-a", "-m", "second")
    return git(folder, "rev-parse", "HEAD")


def test_the_recipe_gets_them(run_cli: RunCli, pushed: Pushed, tmp_path: Path, check: Callable[..., Any]) -> None:
    ref, source = pushed()
    assert (source.dirty, source.diff_digest, source.untracked_digest) == (False, "", "")
    assert run_cli("reproduce", ref, tmp_path / "recipe").code == 0
    readme = (tmp_path / "recipe" / "README.md").read_text()
    first = readme.split("```sh\n")[1].split("```")[0]
    assert first.splitlines()[-1] == INITIALISE
    subprocess.run(["bash", "-euc", first], cwd=tmp_path / "recipe", check=True, capture_output=True)
    again = tmp_path / "recipe" / "code"
    assert (again / "libs" / "deep" / "code.py").exists()
    assert check(ref, again)["differences"] == []


def test_one_that_is_not_initialised_is_named(
    pushed: Pushed, origin: Path, clone: Path, tmp_path: Path, check: Callable[..., Any]
) -> None:
    ref, _ = pushed()
    bare = tmp_path / "bare clone"
    git(tmp_path, "clone", "--quiet", str(origin), str(bare))
    (missing,) = check(ref, bare)["differences"]
    libs = git(clone / "libs", "rev-parse", "HEAD")
    assert missing == {"what": "submodule libs", "recorded": libs, "present": "", "fix": INITIALISE}
    git(bare, "submodule", "--quiet", "update", "--init")
    (missing,) = check(ref, bare)["differences"]
    assert (missing["what"], missing["present"]) == ("submodule libs/deep", "")
    git(bare, *INITIALISE.split()[1:], "--quiet")
    assert check(ref, bare)["same"]


@pytest.mark.parametrize("ignored", [False, True], ids=["", "ignore = all"])
def test_one_that_is_at_another_commit_is_named(
    pushed: Pushed, clone: Path, check: Callable[..., Any], ignored: bool
) -> None:
    if ignored:
        git(clone, "config", "--file", ".gitmodules", "submodule.libs.ignore", "all")
        git(clone, "commit", "--quiet", "-a", "-m", "ignored")
    ref, source = pushed()
    assert not source.dirty
    wanted, moved = git(clone / "libs", "rev-parse", "HEAD"), commit_inside(clone / "libs")
    document = check(ref, clone)
    named = {one["what"]: (one["recorded"], one["present"]) for one in document["differences"]}
    assert named["submodule libs"] == (wanted, moved)
    assert named.keys() == {"submodule libs", "changes to tracked files"}
    there, source = pushed()
    assert source.diff_digest
    assert check(there, clone)["same"], "it was recorded there"


def test_what_differs_in_it_is_digested_at_any_depth(clone: Path, states: list[str]) -> None:
    for change in range(2):
        (clone / "libs" / "code.py").write_text(f"libs {change}\n")
        states.append(git_state(clone).diff_digest)
    for change in range(2):
        (clone / "libs" / "deep" / "code.py").write_text(f"deep {change}\n")
        states.append(git_state(clone).diff_digest)
    for change in range(2):
        (clone / "libs" / "deep" / "new.py").write_text(f"new {change}\n")
        states.append(git_state(clone).diff_digest)
    assert git_state(clone).diff_digest == states[-1], "it is the same each time"
    git(clone / "libs", "add", "code.py")
    assert git_state(clone).diff_digest == states[-1], "staged or not"


def test_a_dirty_one_is_told_by_its_digest(pushed: Pushed, clone: Path, check: Callable[..., Any]) -> None:
    (clone / "libs" / "code.py").write_text("x = 3\n")
    ref, source = pushed()
    assert source.diff_digest
    assert check(ref, clone)["same"]
    (clone / "libs" / "code.py").write_text("x = 4\n")
    (changed,) = check(ref, clone)["differences"]
    assert (changed["what"], changed["recorded"]) == ("changes to tracked files", source.diff_digest)


def test_a_hook_s_environment_does_not_lead_back_to_the_outer_repository(
    clone: Path, states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "libs" / "code.py").write_text("x = 3\n")
    states.append(expected := git_state(clone).diff_digest)
    found = submodules(clone)
    monkeypatch.setenv("GIT_DIR", str(clone / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(clone / ".git" / "index"))
    monkeypatch.chdir(clone)
    assert git_state(clone).diff_digest == expected
    assert submodules(clone) == found
    assert [one.path for one in found] == ["libs", "libs/deep"]


def test_without_them_a_digest_is_that_of_the_diff_alone(tmp_path: Path) -> None:
    plain = repository(tmp_path / "plain")
    (plain / "code.py").write_text("x = 2\n")
    diff = subprocess.run(
        ["git", "-C", plain, "diff", "--binary", "--full-index", "HEAD"], check=True, capture_output=True
    ).stdout
    assert git_state(plain).diff_digest == f"b3:{blake3(diff).hexdigest()}"
    assert submodules(plain) == []
