"""What is written into a recipe's folder: whole, over nothing that was there, and harmless whatever a record says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli
from reproduce_fixtures import NewModel, PushRecord, plain_git, push_record

__all__ = ["plain_git", "push_record"]

COMMIT = "0123456789" * 4
DIGEST = "b3:" + "0" * 64
ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))\n"
NASTY = (
    "two words",
    "it's",
    '"quoted"',
    "$HOME",
    "`id`",
    "$(id)",
    "a\nb",
    "\\",
    "",
    " ",
    "*",
    "~",
    "名前=🦊",
    "-n",
    "!x",
)

Contents = Callable[..., dict[str, str]]


@pytest.fixture
def contents(client: wb.Client, push_record: PushRecord) -> Contents:
    """The texts of the recipe of a version that records these parts."""

    def of(**parts: object) -> dict[str, str]:
        recipe = client.recipe(push_record(wb.Record(**parts)))  # type: ignore[arg-type]
        return {path: content.decode() for path, content in recipe.contents().items()}

    return of


# -- the folder ----------------------------------------------------------------------------------


@pytest.fixture
def ref(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    return client.push(new_model(), tmp_path / "weights.bin").version.ref


def test_a_folder_that_holds_something_is_left_alone(run_cli: RunCli, ref: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert run_cli("reproduce", ref, folder).code == 0, "an empty one is taken"
    before = {file: file.read_bytes() for file in folder.iterdir()}
    refused = run_cli("reproduce", ref, folder)
    assert refused.code == 1
    assert refused.err == (
        f"error: DESTINATION_UNWRITABLE: {folder} holds something already; "
        "name another folder, or write into it with --force (force=True)\n"
    )
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_force_replaces_what_is_ours_and_nothing_else(
    run_cli: RunCli, client: wb.Client, push_record: PushRecord, ref: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "lock").mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "lock" / "uv.lock").write_text("of an older recipe")
    assert run_cli("reproduce", ref, folder, "--force").code == 0
    assert (folder / "requirements.txt").exists()
    bare = push_record(wb.Record(params={"lr": 1}))
    client.recipe(bare).write(folder, force=True)
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) == [
        *(".gitignore", "README.md", "datasets.json", "notes.txt", "params.json", "recipe.json"),
    ]
    assert json.loads((folder / "params.json").read_text()) == {"lr": 1}
    assert (folder / "notes.txt").read_text() == "mine"


def test_what_cannot_be_written_leaves_nothing(client: wb.Client, ref: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recipe = client.recipe(ref)
    for place in (tmp_path / "file", tmp_path / "file" / "folder", Path("/proc/folder")):
        with pytest.raises(wb.DestinationUnwritable, match=re.escape(str(place))):
            recipe.write(place, force=True)
    (tmp_path / "taken" / "params.json").mkdir(parents=True)
    with pytest.raises(wb.DestinationUnwritable):
        recipe.write(tmp_path / "taken", force=True)
    assert not list(tmp_path.rglob(".recipe-*"))


def test_the_working_directory_itself_is_filled(run_cli: RunCli, ref: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    number = folder.stat().st_ino
    assert run_cli("reproduce", ref, ".", cwd=folder).code == 0
    assert (folder / "README.md").exists()
    assert folder.stat().st_ino == number, "whoever stands in it still does"


# -- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry_point", "named"),
    [
        ("run.py", "run.py"),
        ("jobs/run.py", "run.py"),
        ("jobs/a b/run.py", "a b/run.py"),
        ("jobs/run.py", "jobs/run.py"),
        ("jobs/run.py", "./run.py"),
        ("jobs/run.py", "/home/ada/code/jobs/run.py"),
        ("jobs/run.py", "../jobs/run.py"),
    ],
)
def test_run_sh_gives_every_argument_as_it_was(
    contents: Contents, tmp_path: Path, entry_point: str, named: str
) -> None:
    source = wb.SourceCode(entry_point=entry_point, command=("/no/such/python3.11", "-B", named, *NASTY))
    (tmp_path / entry_point).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / entry_point).write_text(ECHO)
    (tmp_path / "run.sh").write_text(contents(source=source)["run.sh"])
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(["sh", "run.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert tuple(json.loads(done.stdout)) == NASTY


def test_run_sh_puts_each_secret_where_it_was(contents: Contents, tmp_path: Path) -> None:
    arguments = ("--token", "[redacted]", "--key=[redacted]", "https://x.org?token=[redacted]&a=$b&key=[redacted]")
    source = wb.SourceCode(entry_point="run.py", command=("python", "run.py", *arguments))
    (tmp_path / "run.py").write_text(ECHO)
    (tmp_path / "run.sh").write_text(contents(source=source)["run.sh"])
    secrets = {f"SECRET_{number}": f"a b'{number}$x" for number in range(1, 5)}
    done = subprocess.run(
        ["sh", "run.sh"], cwd=tmp_path, env={**os.environ, **secrets}, capture_output=True, text=True, check=True
    )
    one, two, three, four = secrets.values()
    assert json.loads(done.stdout) == ["--token", one, f"--key={two}", f"https://x.org?token={three}&a=$b&key={four}"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (wb.SourceCode(entry_point="run.py"), "no command was recorded"),
        (wb.SourceCode(entry_point="ipykernel_launcher", command=("python", "-m", "ipykernel_launcher")), "notebook"),
        (wb.SourceCode(entry_point="/v/bin/weighbridge", command=("python", "/v/bin/weighbridge")), "command line"),
        (wb.SourceCode(command=("python",)), "typed in or piped"),
    ],
)
def test_what_cannot_be_run_again_has_no_script(contents: Contents, source: wb.SourceCode, reason: str) -> None:
    written = contents(source=source)
    assert "run.sh" not in written
    assert reason in written["README.md"].partition("## What the record cannot give back")[2]


def test_code_on_the_command_line_and_modules_run(contents: Contents, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "train.py").write_text(ECHO)
    for entry, command in (
        ("", ("python", "-Bc", ECHO, "a b")),
        ("package.train", ("python", "-m", "package.train", "a b")),
    ):
        source = wb.SourceCode(entry_point=entry, command=command)
        (tmp_path / "run.sh").write_text(contents(source=source)["run.sh"])
        done = subprocess.run(["sh", "run.sh"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == ["a b"]


def test_a_command_that_was_cut_is_not_run(contents: Contents, tmp_path: Path) -> None:
    source = wb.SourceCode(entry_point="run.py", command=("python", "run.py", "x" * 4093 + "…"))
    (tmp_path / "run.py").write_text(ECHO)
    written = contents(source=source)
    (tmp_path / "run.sh").write_text(written["run.sh"])
    done = subprocess.run(["sh", "run.sh"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not complete" in done.stderr
    assert "no room for all of the command line" in written["README.md"]


# -- the packages --------------------------------------------------------------------------------


def test_requirements_pin_what_pip_can_get(contents: Contents) -> None:
    packages = {
        "numpy": "2.0.1",
        "torch": "2.3.0+cu118",
        "torchvision": "0.18.0+cu118",
        "calver": "2024.7.4.post1",
        "nightly": "3.0.0rc1.dev20240101",
        "epoch": "1!2.0",
        "ours": "0.1.dev3+g1234abc",
        "flash-attn": "2.5.8+cu122torch2.3",
        "odd": "not a version",
        "weighbridge": "0.1.0",
    }
    written = contents(environment=wb.Environment(packages=packages, python="3.11.7", implementation="CPython"))
    lines = written["requirements.txt"].splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "--extra-index-url https://download.pytorch.org/whl/cu118",
        *("calver==2024.7.4.post1", "epoch==1!2.0", "nightly==3.0.0rc1.dev20240101", "numpy==2.0.1"),
        *("torch==2.3.0+cu118", "torchvision==0.18.0+cu118"),
    ]
    (gap,) = [line for line in written["README.md"].splitlines() if line.startswith("- pip cannot get these")]
    for name in ("ours", "flash-attn", "odd"):
        assert f"`{name}=={packages[name]}`" in gap
        assert any(line.startswith(f"# {name}=={packages[name]}  (") for line in lines)
    assert any(line.startswith("# weighbridge==0.1.0  (") for line in lines)


# -- whatever a record says ----------------------------------------------------------------------


def test_a_hostile_record_writes_nowhere_else_and_runs_nothing(
    client: wb.Client, push_record: PushRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "clone")], check=True)
    monkeypatch.chdir(tmp_path / "clone")
    ran = tmp_path / "ran"
    touch = f"touch {ran}"
    text = f"x\n```\n$({touch})\n```sh\n{touch}\n```"
    record = wb.Record(
        description=text,
        params={text: text},
        datasets=[wb.Dataset(text, text, text, text, "`")],
        source=wb.SourceCode(
            repository=f"--upload-pack={touch};",
            commit=f"--output={ran}\n{touch}",
            branch=text,
            entry_point=f"jobs/a\n{touch}\n.py",
            command=(f"python\n{touch}", f"a\n{touch}\n.py", text),
        ),
        environment=wb.Environment(
            python=text,
            os=text,
            platform=f"a\n-r {touch} b",
            packages={
                f"x\n-e .;{touch}": "1",
                "y": f"1\n--index-url http://evil.example;{touch}",
                "z": "1 @ file:///x",
            },
            lock_file="../../uv.lock",
            lock_digest=DIGEST,
        ),
    )
    ref = push_record(record)
    recipe = client.recipe(ref)
    folder = recipe.write(tmp_path / "recipe")
    assert {file.name for file in tmp_path.iterdir()} == {"clone", "recipe"}
    assert sorted(recipe.contents()) == [
        *(".gitignore", "README.md", "datasets.json", "params.json", "recipe.json", "requirements.txt", "run.sh"),
    ]
    requirements = (folder / "requirements.txt").read_text()
    assert all(line.startswith("#") for line in requirements.splitlines())
    readme = (folder / "README.md").read_text()
    for block in re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL):
        assert subprocess.run(["bash", "-n", "-c", block], check=False).returncode == 0
        assert not any(line.startswith(touch) for line in block.splitlines())
    for script in (folder / "run.sh", *folder.glob("*.sh")):
        subprocess.run(["sh", script], cwd=tmp_path, capture_output=True, check=False)
    differences = client.check_environment(ref).differences
    assert differences[0].what == "commit"
    assert not ran.exists()


def test_a_commit_of_the_record_that_git_would_take_for_an_option_is_not_given_to_git(
    client: wb.Client, push_record: PushRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    tool = tmp_path / "bin" / "git"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >> {told}\nexit 1\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    lock = wb.Environment(lock_file="uv.lock", lock_digest=DIGEST)
    client.recipe(push_record(wb.Record(source=wb.SourceCode(commit="--output=x"), environment=lock)))
    assert not told.exists()
    client.recipe(push_record(wb.Record(source=wb.SourceCode(commit=COMMIT), environment=lock)))
    assert COMMIT in told.read_text()
