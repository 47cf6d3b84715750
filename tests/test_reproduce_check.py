"""``reproduce --check``: what differs from the recorded environment is named, all of it, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from conftest import RunCli
from reproduce_fixtures import PushRecord, clone, git, origin, plain_git, push_record, record_here
from weighbridge.capture.git import git_state

__all__ = ["clone", "origin", "plain_git", "push_record", "record_here"]

OTHER = "0" * 40
DIGEST = "b3:" + "0" * 64
Change = Callable[[wb.Record], wb.Record]
Check = Callable[..., Any]


def in_environment(**fields: Any) -> Change:
    def change(record: wb.Record) -> wb.Record:
        assert record.environment is not None
        return replace(record, environment=replace(record.environment, **fields))

    return change


def in_source(**fields: Any) -> Change:
    def change(record: wb.Record) -> wb.Record:
        assert record.source is not None
        return replace(record, source=replace(record.source, **fields))

    return change


def with_packages(changes: Mapping[str, str]) -> Change:
    def change(record: wb.Record) -> wb.Record:
        assert record.environment is not None
        return in_environment(packages={**record.environment.packages, **changes})(record)

    return change


def platform(place: int, word: str) -> Change:
    """One word of kernel, release and architecture is another."""

    def change(record: wb.Record) -> wb.Record:
        assert record.environment is not None
        words = record.environment.platform.split()
        words[place] = word
        return in_environment(platform=" ".join(words))(record)

    return change


@pytest.fixture
def check(run_cli: RunCli, push_record: PushRecord, record_here: wb.Record, clone: Path) -> Check:
    """Checks, in the clone, against what was recorded there but for one change; returns the document."""

    def run(change: Change = lambda record: record, *, cwd: Path = clone / "jobs") -> Any:
        ref = push_record(change(record_here))
        done = run_cli("reproduce", ref, "--check", "--json", cwd=cwd)
        document = done.json
        assert document["ref"] == ref
        assert document["same"] is (document["differences"] == [])
        assert done.code == (0 if document["same"] else 3)
        return document

    return run


def test_where_nothing_changed_it_is_the_same(check: Check) -> None:
    document = check()
    assert (document["same"], document["differences"], document["notes"]) == (True, [], [])


def test_a_commit_and_changes_that_are_not_the_recorded_ones(check: Check, clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    (clone / "jobs" / "train.py").write_text("lr = 2\n")
    (clone / "new.py").write_text("")
    changed, untracked = check()["differences"]
    assert (changed["what"], changed["recorded"], changed["present"][:3]) == ("changes to tracked files", "", "b3:")
    assert changed["fix"].startswith("git stash")
    assert (untracked["what"], untracked["recorded"], untracked["present"][:3]) == ("untracked files", "", "b3:")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "second")
    (moved,) = check()["differences"]
    assert moved == {
        "what": "commit",
        "recorded": commit,
        "present": git(clone, "rev-parse", "HEAD"),
        "fix": f"git checkout --detach {commit}",
    }
    git(clone, "checkout", "--quiet", "--detach", commit)
    document = check()
    assert document["same"]
    assert document["notes"] == ["the branch here is none; main was recorded"]


def test_recorded_changes_are_told_by_their_digest(check: Check, client: wb.Client, clone: Path) -> None:
    (clone / "jobs" / "train.py").write_text("lr = 2\n")
    digest = next(one["present"] for one in check()["differences"])
    recorded = in_source(dirty=True, diff_digest=digest)
    assert check(recorded)["same"]
    git(clone, "checkout", "--", ".")
    (difference,) = check(recorded)["differences"]
    assert (difference["recorded"], difference["present"]) == (digest, "")
    assert "not the changes themselves" in difference["fix"]


def test_of_untracked_files_the_code_is_compared_and_the_rest_is_a_note(check: Check, clone: Path) -> None:
    script, data = clone / "jobs" / "untracked-script", clone / "data.txt"
    for file in (script, data):
        file.write_text("1\n")
    digest = git_state(clone, "jobs/untracked-script").untracked_digest
    recorded = in_source(dirty=True, untracked_digest=digest, entry_point="jobs/untracked-script")
    (note,) = check(recorded)["notes"]
    assert note.startswith("the untracked files here have the recorded paths; of their contents only")
    data.write_text("2\n")
    assert check(recorded)["notes"] == [note], "data and results change with each run"
    script.write_text("2\n")
    document = check(recorded)
    assert [one["what"] for one in document["differences"]] == ["untracked files"]
    assert document["notes"] == []
    assert document["differences"][0]["fix"].startswith("bring the same files back")


def test_outside_of_a_clone_it_says_how_to_get_one(check: Check, origin: Path, tmp_path: Path) -> None:
    commit, lock = check(cwd=tmp_path)["differences"]
    assert (commit["what"], commit["present"]) == ("commit", "")
    assert commit["fix"].startswith(f"git clone -- {origin} code && cd code && git checkout --detach ")
    assert (lock["what"], lock["present"]) == ("lock file", "")


@pytest.mark.parametrize(
    ("what", "recorded", "fix", "change"),
    [
        ("commit", OTHER, f"git checkout --detach {OTHER}", in_source(commit=OTHER)),
        ("untracked files", DIGEST, "bring the same files back", in_source(dirty=True, untracked_digest=DIGEST)),
        ("python", "3.9.1", "uv venv --python 3.9.1", in_environment(python="3.9.1")),
        ("implementation", "PyPy", "run it with PyPy", in_environment(implementation="PyPy")),
        ("os", "Plan 9", "run it on Plan 9", in_environment(os="Plan 9")),
        ("kernel", "Darwin", "run it on Darwin", platform(0, "Darwin")),
        ("architecture", "riscv64", "run it on a machine of riscv64", platform(-1, "riscv64")),
        ("container image", "x.org/t:7", "run it in x.org/t:7", in_environment(container_image="x.org/t:7")),
        ("package numpy", "1.2.3", "pip install numpy==1.2.3", with_packages({"numpy": "1.2.3"})),
        ("package absent-one", "4.5", "pip install absent-one==4.5", with_packages({"absent-one": "4.5"})),
        (
            "package torch",
            "2.3.0+cu118",
            "pip install torch==2.3.0+cu118 --extra-index-url https://download.pytorch.org/whl/cu118",
            with_packages({"torch": "2.3.0+cu118"}),
        ),
        ("package ours", "1.0+g123", "a local build, which no index has", with_packages({"ours": "1.0+g123"})),
        ("lock file", f"uv.lock {DIGEST}", "bring the same file back", in_environment(lock_digest=DIGEST)),
        (
            "accelerators",
            "2 x A100 (80 MiB), 1 x H100",
            "run it on a machine with 2 x A100 (80 MiB), 1 x H100",
            in_environment(
                accelerators=(
                    wb.Accelerator("A100", 80 << 20),
                    wb.Accelerator("H100"),
                    wb.Accelerator("A100", 80 << 20),
                )
            ),
        ),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) < 20 else "",
)
def test_each_thing_that_differs_is_named_with_what_to_do(
    check: Check, what: str, recorded: str, fix: str, change: Change
) -> None:
    named = {one["what"]: one for one in check(change)["differences"]}
    assert set(named) == {what}
    assert named[what]["recorded"] == recorded
    assert named[what]["present"] != recorded
    assert named[what]["fix"].startswith(fix)


def test_accelerators_and_their_driver_are_compared(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nprintf 'A100, 81920, 550.54\\nA100, 81920, 550.54\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    two = (wb.Accelerator("A100", 81920 << 20, "550.54"),) * 2
    assert check(in_environment(accelerators=two))["same"]
    (hidden,) = check(in_environment(accelerators=()))["differences"]
    assert (hidden["what"], hidden["recorded"], hidden["present"]) == ("accelerators", "", "2 x A100 (81920 MiB)")
    older = tuple(replace(device, driver="470.1") for device in two)
    (driver,) = check(in_environment(accelerators=older))["differences"]
    assert (driver["what"], driver["recorded"], driver["present"]) == ("accelerator driver", "470.1", "550.54")


def test_everything_that_differs_is_named_at_once(check: Check) -> None:
    def change(record: wb.Record) -> wb.Record:
        changed = in_environment(python="3.9.1", os="Plan 9", container_image="x.org/t:7")(record)
        return in_source(commit=OTHER)(with_packages({"numpy": "1.2.3", "absent-one": "4.5"})(changed))

    assert [one["what"] for one in check(change)["differences"]] == [
        *("commit", "python", "os", "container image", "package absent-one", "package numpy"),
    ]


def test_what_hardly_matters_is_a_note(check: Check, record_here: wb.Record) -> None:
    assert record_here.environment is not None
    fewer = {name: version for name, version in record_here.environment.packages.items() if name != "numpy"}

    def change(record: wb.Record) -> wb.Record:
        changed = in_environment(packages=fewer, cpu="Z80", cpu_count=999, host="other", user="other")(record)
        return in_source(branch="other", repository="https://example.org/x.git")(platform(1, "1.0")(changed))

    document = check(change)
    assert document["same"]
    notes = "\n".join(document["notes"])
    for said in ("the branch here is main; other was", "x.git", "numpy", "Z80", "999", "1.0 was recorded"):
        assert said in notes
    assert len(document["notes"]) == 6


@pytest.mark.long
def test_what_was_not_recorded_could_not_be_compared(check: Check) -> None:
    document = check(lambda record: replace(record, environment=None))
    assert document["same"]
    assert document["notes"] == ["the environment was not recorded, so it could not be compared"]
    document = check(lambda record: replace(record, source=None))
    assert document["notes"] == ["the code was not recorded, so it could not be compared"]
    document = check(in_source(commit="", dirty=False))
    assert document["notes"] == ["no commit was recorded, so the code could not be compared"]
    bare = in_environment(packages={}, python="", lock_file="", lock_digest="")
    notes = "\n".join(check(bare)["notes"])
    for said in ("no packages were recorded", "python was not recorded", "there is a lock file here"):
        assert said in notes
    cut = in_environment(packages={"blake3": "0.1"}, packages_left_out=70)
    document = check(cut)
    assert [one["what"] for one in document["differences"]] == ["package blake3"]
    assert document["notes"] == ["the record leaves 70 packages out, which could not be compared"]


def test_a_version_that_records_nothing_of_the_kind_is_refused(
    run_cli: RunCli, client: wb.Client, push_record: PushRecord
) -> None:
    ref = push_record(wb.Record(params={"lr": 1}))
    done = run_cli("reproduce", ref, "--check")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: WRONG_STATE: {ref} records neither code nor environment")
    with pytest.raises(wb.WrongState):
        client.check_environment(ref)


def test_people_are_told_the_same(
    run_cli: RunCli, push_record: PushRecord, record_here: wb.Record, clone: Path
) -> None:
    ref = push_record(with_packages({"numpy": "1.2.3"})(in_source(branch="other")(record_here)))
    done = run_cli("reproduce", ref, "--check", cwd=clone)
    assert done.code == 3
    title, package, note = done.out.splitlines()
    assert title == f"this environment is not that of {ref}: 1 difference"
    assert "1.2.3 was recorded" in package
    assert package.endswith("pip install numpy==1.2.3")
    assert note.split() == "note the branch here is main; other was recorded".split()
    same = push_record(record_here)
    assert run_cli("reproduce", same, "--check", cwd=clone).out == f"this environment is as that of {same}\n"
    assert run_cli("reproduce", same, "--check", "-q", cwd=clone).out == ""
    refused = run_cli("reproduce", ref, "folder", "--check")
    assert (refused.code, refused.err.split(":")[1]) == (1, " USAGE")


def test_from_python_it_is_the_working_directory_that_is_compared(
    client: wb.Client, push_record: PushRecord, record_here: wb.Record, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = push_record(in_environment(python="3.9.1")(record_here))
    monkeypatch.chdir(clone)
    found = client.check_environment(ref)
    assert not found.same
    assert [one.what for one in found.differences] == ["python"]
    assert isinstance(found, wb.EnvironmentCheck)
    assert isinstance(found.differences[0], wb.EnvironmentDifference)
