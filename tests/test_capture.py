"""What a version records unasked: real repositories, real processes, and nothing that fails a push."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

import weighbridge as wb
from conftest import RunCli, RunningServer
from weighbridge.capture import untracked
from weighbridge.core.digest import format_digest
from weighbridge.core.limits import RECORD_BYTES
from weighbridge_server.domain.registry.record_text import record_text

NewModel = Callable[[], str]


@pytest.fixture(autouse=True)
def plain_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """A git without the settings of whoever runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.delenv("WEIGHBRIDGE_CONTAINER_IMAGE", raising=False)


def git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, which is the working directory."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "train.py").write_text("lr = 1\n")
    (path / ".gitignore").write_text("*.bin\n")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "first")
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def pushed(client: wb.Client, new_model: NewModel, weights: Path) -> Callable[[], wb.Record]:
    """Pushes from here, and reads what was recorded."""

    def push() -> wb.Record:
        return recorded(client, client.push(new_model(), weights).version.ref)

    return push


def recorded(client: wb.Client, ref: str) -> wb.Record:
    record = client.version(ref).record
    assert record is not None
    return record


@pytest.fixture
def source(pushed: Callable[[], wb.Record]) -> Callable[[], wb.SourceCode]:
    def push() -> wb.SourceCode:
        source = pushed().source
        assert source is not None
        return source

    return push


def b3(data: bytes) -> str:
    return format_digest(blake3(data).digest())


def program(folder: Path, name: str, text: str) -> Path:
    """A program of its own in a folder that can be put on PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# -- git ---------------------------------------------------------------------------------------


def test_a_clean_repository(repository: Path, source: Callable[[], wb.SourceCode]) -> None:
    git(repository, "remote", "add", "other", "https://example.org/other.git")
    git(repository, "remote", "add", "origin", "https://ada:hunter2@example.org/team/fraud.git")
    (repository / "weights.bin").write_bytes(b"ignored")
    found = source()
    assert found.repository == "https://example.org/team/fraud.git"
    assert found.commit == git(repository, "rev-parse", "HEAD").decode().strip()
    assert found.branch == "main"
    assert (found.dirty, found.diff_digest, found.untracked_digest) == (False, "", "")


def test_a_change_is_recorded_alike_staged_or_not(repository: Path, source: Callable[[], wb.SourceCode]) -> None:
    (repository / "train.py").write_text("lr = 2\n")
    changed = source()
    assert changed.dirty
    assert changed.diff_digest == b3(git(repository, "diff", "--binary", "--full-index", "HEAD"))
    git(repository, "add", "train.py")
    assert source() == changed
    (repository / "train.py").write_text("lr = 3\n")
    assert source().diff_digest not in ("", changed.diff_digest)


def test_untracked_files_are_recorded_by_their_paths(repository: Path, source: Callable[[], wb.SourceCode]) -> None:
    (repository / "päckage").mkdir()
    for name in ("z.txt", "päckage/two words", "päckage/ignored.bin"):
        (repository / name).write_text("")
    os.chdir(repository / "päckage")  # the whole repository counts, not the folder alone
    found = source()
    assert found.dirty
    assert found.diff_digest == ""
    assert found.untracked_digest == b3("päckage/two words\0z.txt\0".encode())
    (repository / "z.txt").write_text("data and results change with each run")
    assert source() == found


def test_of_untracked_code_the_content_is_recorded_too(repository: Path, source: Callable[[], wb.SourceCode]) -> None:
    (repository / "päckage").mkdir()
    (repository / "päckage" / "two words.py").write_text("x = 1\n")
    (repository / "a.txt").write_text("")
    (repository / "link.py").symlink_to("nowhere")

    def expected(text: str) -> str:
        paths = "a.txt\0link.py\0päckage/two words.py\0".encode()
        link, code = (blake3(content.encode()).digest() for content in ("nowhere", text))
        return b3(paths + b"\0link.py\0" + link + "\0päckage/two words.py\0".encode() + code)

    assert source().untracked_digest == expected("x = 1\n")
    (repository / "päckage" / "two words.py").write_text("x = 2\n")
    assert source().untracked_digest == expected("x = 2\n")


def test_untracked_code_is_read_up_to_a_bound(
    repository: Path, source: Callable[[], wb.SourceCode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untracked, "_MOST_FILES", 2)
    monkeypatch.setattr(untracked, "_MOST_BYTES", 10)
    for name, content in (("a.py", b"x" * 11), ("b.py", b"y" * 10), ("c.py", b"z")):
        (repository / name).write_bytes(content)
    found = source().untracked_digest
    assert found == b3(b"a.py\0b.py\0c.py\0" + b"\0b.py\0" + blake3(b"y" * 10).digest())


def test_a_detached_head_has_no_branch(repository: Path, source: Callable[[], wb.SourceCode]) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    found = source()
    assert (len(found.commit), found.branch, found.dirty) == (40, "", False)


def test_a_repository_without_a_commit(tmp_path: Path, source: Callable[[], wb.SourceCode]) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    os.chdir(tmp_path)
    found = source()
    assert (found.commit, found.branch, found.diff_digest) == ("", "trunk", "")
    (tmp_path / "staged.py").write_text("x = 1\n")
    git(tmp_path, "add", "staged.py")
    assert source().diff_digest.startswith("b3:")


def test_a_bare_repository_has_a_commit_and_nothing_else(
    repository: Path, tmp_path: Path, source: Callable[[], wb.SourceCode], monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), str(tmp_path / "bare.git"))
    monkeypatch.chdir(tmp_path / "bare.git")
    found = source()
    assert found.commit == git(repository, "rev-parse", "HEAD").decode().strip()
    assert not found.dirty


@pytest.mark.parametrize("git_there", [True, False], ids=["no repository", "no git"])
def test_without_a_repository_the_rest_is_recorded(
    tmp_path: Path,
    repository: Path,
    pushed: Callable[[], wb.Record],
    monkeypatch: pytest.MonkeyPatch,
    git_there: bool,
) -> None:
    if git_there:
        monkeypatch.chdir(tmp_path)
    else:
        monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    record = pushed()
    assert record.source is not None
    assert record.environment is not None
    assert (record.source.repository, record.source.commit, record.source.branch) == ("", "", "")
    assert not record.source.dirty
    assert record.source.command
    assert record.environment.python


def test_a_user_s_settings_change_no_digest_and_run_nothing(
    repository: Path, tmp_path: Path, source: Callable[[], wb.SourceCode]
) -> None:
    (repository / "train.py").write_text("lr = 2\n")
    git(repository, "mv", ".gitignore", "ignored")
    before = source()
    assert before.diff_digest
    ran = tmp_path / "ran"
    tool = program(tmp_path / "tools", "tool", f"touch {shlex.quote(str(ran))}; cat")
    settings = {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.renames": "copies",
        "diff.context": "0",
        "diff.interHunkContext": "9",
        "diff.algorithm": "histogram",
        "diff.external": str(tool),
        "diff.submodule": "log",
        "color.ui": "always",
        "core.fsmonitor": str(tool),
        "core.pager": str(tool),
        "status.showUntrackedFiles": "all",
        "status.branch": "false",
    }
    for name, value in settings.items():
        git(repository, "config", name, value)
    index = (repository / ".git" / "index").read_bytes()
    assert source() == before
    assert not ran.exists()
    assert (repository / ".git" / "index").read_bytes() == index


def test_a_branch_and_a_remote_in_any_script_survive(repository: Path, source: Callable[[], wb.SourceCode]) -> None:
    git(repository, "checkout", "--quiet", "-b", "zweig/🌿-ветка")
    git(repository, "remote", "add", "origin", "/srv/git/模型.git")
    found = source()
    assert (found.branch, found.repository) == ("zweig/🌿-ветка", "/srv/git/模型.git")


def test_texts_that_are_too_long_are_cut_and_the_push_is_taken(
    repository: Path, source: Callable[[], wb.SourceCode]
) -> None:
    git(repository, "checkout", "--quiet", "-b", "/".join(["🦊" * 50] * 10))
    git(repository, "remote", "add", "origin", "/srv/" + "🦊" * 4000)
    found = source()
    for text in (found.branch, found.repository):
        assert text.endswith("🦊…")
        assert 1000 < len(text.encode()) <= 1024


# -- the process -------------------------------------------------------------------------------

TRAIN = """
import os, sys
import weighbridge as wb
with wb.connect() as client, client.begin(sys.argv[1]) as version:
    version.add(sys.argv[2])
print(version.result.version.ref)
"""


def run_python(server: RunningServer, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "WEIGHBRIDGE_SERVER": server.address, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_script_is_recorded_where_it_lies_and_without_secrets(
    server: RunningServer, client: wb.Client, repository: Path, tmp_path: Path, weights: Path, new_model: NewModel
) -> None:
    folder = repository / "jobs"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (repository / "uv.lock").write_text("version = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "second")
    secrets = ("--hf-token", "s3cr3t-a", "--api-key=s3cr3t-b", "DB_PASSWORD=s3cr3t-c", "https://me:s3cr3t-d@x.org/y")
    ref = run_python(
        server,
        str(folder / "train.py"),
        new_model(),
        str(weights),
        *secrets,
        "--lr=3e-4",
        "名前=🦊",
        cwd=tmp_path,
        environment={"WANDB_API_KEY": "s3cr3t-e", "WEIGHBRIDGE_CONTAINER_IMAGE": "https://u:s3cr3t-f@x.org/train:7"},
    )
    record = recorded(client, ref)
    assert "s3cr3t" not in record_text(record)
    assert record.source is not None
    assert record.source.entry_point == "jobs/train.py"
    assert record.source.commit == git(repository, "rev-parse", "HEAD").decode().strip()
    hidden = ("--hf-token", "[redacted]", "--api-key=[redacted]", "DB_PASSWORD=[redacted]", "https://x.org/y")
    assert tuple(record.source.command[-7:]) == (*hidden, "--lr=3e-4", "名前=🦊")
    assert record.environment is not None
    assert record.environment.container_image == "https://x.org/train:7"
    assert (record.environment.lock_file, record.environment.lock_digest) == ("uv.lock", b3(b"version = 1\n"))
    assert (record.environment.host, record.environment.cpu_count) == (os.uname().nodename, os.cpu_count())
    assert record.environment.python == ".".join(map(str, sys.version_info[:3]))
    assert record.environment.packages["blake3"]


def test_a_module_is_recorded_by_its_name(
    server: RunningServer, client: wb.Client, repository: Path, weights: Path, new_model: NewModel
) -> None:
    (repository / "jobs").mkdir()
    (repository / "jobs" / "train.py").write_text(TRAIN)
    ref = run_python(server, "-m", "jobs.train", new_model(), str(weights), cwd=repository)
    source = recorded(client, ref).source
    assert source is not None
    assert source.entry_point == "jobs.train"
    assert source.branch == "main"


def test_the_script_that_ran_is_recorded_by_its_content_where_git_does_not_track_it(
    server: RunningServer, client: wb.Client, repository: Path, weights: Path, new_model: NewModel
) -> None:
    digests = []
    for lr in (1, 2):
        (repository / "train").write_text(f"{TRAIN}\nlr = {lr}\n")  # its name does not say that it is code
        ref = run_python(server, "train", new_model(), str(weights), cwd=repository)
        source = recorded(client, ref).source
        assert source is not None
        assert source.entry_point == "train"
        digests.append(source.untracked_digest)
    assert len({*digests, "", b3(b"train\0")}) == 4


def test_arguments_that_are_no_text_are_recorded_all_the_same(
    server: RunningServer, client: wb.Client, repository: Path, weights: Path, new_model: NewModel
) -> None:
    (repository / "train.py").write_text(TRAIN)
    arguments: list[str | bytes] = [sys.executable, "train.py", new_model(), str(weights), b"\xff", "x" * 100_000]
    done = subprocess.run(
        arguments, env={**os.environ, "WEIGHBRIDGE_SERVER": server.address}, capture_output=True, text=True, check=True
    )
    source = recorded(client, done.stdout.strip()).source
    assert source is not None
    byte, long = source.command[-2:]
    assert byte == r"\udcff"
    assert long.startswith("xxx")
    assert long.endswith("…")


# -- the machine -------------------------------------------------------------------------------


def test_accelerators_are_those_of_nvidia_smi(
    tmp_path: Path, pushed: Callable[[], wb.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = r"NVIDIA A100-SXM4-80GB, 81920, 550.54.15\nGraphics, Device, [N/A], 550.54.15\n"
    program(tmp_path / "bin", "nvidia-smi", f"printf '{lines}'")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    environment = pushed().environment
    assert environment is not None
    assert environment.accelerators == (
        wb.Accelerator("NVIDIA A100-SXM4-80GB", 81920 * 2**20, "550.54.15"),
        wb.Accelerator("Graphics, Device", 0, "550.54.15"),
    )


@pytest.mark.timeout(60)  # they run for ever
def test_programs_that_hang_do_not_hold_up_a_push_and_are_ended(
    tmp_path: Path, pushed: Callable[[], wb.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "pids"
    for name in ("git", "nvidia-smi"):
        program(tmp_path / "bin", name, f"echo $$ >> {shlex.quote(str(left))}; tail -f /dev/null")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    record = pushed()
    started = [int(pid) for pid in left.read_text().split()]
    assert len(started) >= 2
    assert sum(Path(f"/proc/{pid}").exists() for pid in started) <= 1, "the last of git's calls may be running"
    assert record.source is not None
    assert record.source.command, "what needs no git is recorded"
    assert record.environment is not None
    assert record.environment.accelerators == ()
    assert record.environment.packages


def test_a_program_that_fails_is_as_if_it_were_not_there(
    tmp_path: Path, pushed: Callable[[], wb.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("git", "nvidia-smi"):
        program(tmp_path / "bin", name, r"printf 'half, \377, an'; exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    record = pushed()
    assert record.source is not None
    assert record.environment is not None
    assert (record.source.commit, record.environment.accelerators) == ("", ())


@pytest.mark.parametrize(
    ("name", "found"),
    [("requirements.txt", True), ("requirements-gpu.lock", True), ("poetry.lock", True), ("requirements.md", False)],
)
def test_the_lock_file_is_looked_for_upward(
    repository: Path, pushed: Callable[[], wb.Record], name: str, found: bool
) -> None:
    (repository.parent / "uv.lock").write_text("of another project")
    (repository / name).write_text("numpy==2.0\n")
    (repository / "a" / "b").mkdir(parents=True)
    os.chdir(repository / "a" / "b")
    environment = pushed().environment
    assert environment is not None
    expected = (name, b3(b"numpy==2.0\n")) if found else ("", "")
    assert (environment.lock_file, environment.lock_digest) == expected


def test_a_working_directory_that_is_gone_fails_nothing(
    tmp_path: Path, pushed: Callable[[], wb.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert pushed().environment is not None


# -- limits ------------------------------------------------------------------------------------


def install(folder: Path, count: int, name: str = "package") -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"{name}_{number:04}-1.{number}.dist-info").mkdir()


def test_a_thousand_packages_are_recorded(
    tmp_path: Path, pushed: Callable[[], wb.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", 1000)
    (tmp_path / "site" / "Odd.Name-2.0+cu118.dist-info").mkdir()
    (tmp_path / "site" / "older.egg-info").mkdir()
    (tmp_path / "site" / "older.egg-info" / "PKG-INFO").write_text("Name: Older_One\nVersion: 0.9\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    environment = pushed().environment
    assert environment is not None
    assert environment.packages["package-0999"] == "1.999"
    assert environment.packages["odd-name"] == "2.0+cu118"
    assert environment.packages["older-one"] == "0.9"
    assert len(environment.packages) > 1000
    assert environment.packages_left_out == 0


def test_packages_that_do_not_fit_are_cut_to_those_imported(
    tmp_path: Path, pushed: Callable[[], wb.Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", 1000, "a" * 100)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    environment = pushed().environment
    assert environment is not None
    assert {"blake3", "grpcio", "pytest"} <= environment.packages.keys()
    assert "aaa" not in "".join(environment.packages)
    assert environment.packages_left_out >= 1000


def test_what_an_author_gives_has_room_before_what_is_captured(
    client: wb.Client, new_model: NewModel, weights: Path, repository: Path
) -> None:
    empty = len(record_text(wb.Record()))
    room = RECORD_BYTES - empty
    captured = recorded(client, client.push(new_model(), weights).version.ref)
    assert captured.environment is not None
    bare = replace(captured.environment, packages={}, packages_left_out=len(captured.environment.packages))

    def push(description_bytes: int) -> wb.Record:
        pushed = client.push(new_model(), weights, description="x" * description_bytes)
        return recorded(client, pushed.version.ref)

    without_packages = push(room - (len(record_text(replace(captured, environment=bare))) - empty))
    assert (without_packages.source, without_packages.environment) == (captured.source, bare)
    source_only = push(room - (len(record_text(replace(captured, environment=None))) - empty))
    assert (source_only.source, source_only.environment) == (captured.source, None)
    full = push(room)
    assert (full.source, full.environment) == (None, None)
    with pytest.raises(wb.LimitExceeded):
        push(room + 1)


# -- off, and frozen ---------------------------------------------------------------------------


def test_capture_can_be_turned_off(
    client: wb.Client, new_model: NewModel, weights: Path, repository: Path, run_cli: RunCli
) -> None:
    by_sdk = client.push(new_model(), weights, capture=False).version.ref
    by_cli = run_cli("push", "-q", new_model(), weights, "--no-capture").out.strip()
    for ref in (by_sdk, by_cli):
        assert recorded(client, ref) == wb.Record()


def test_the_command_line_records_the_repository_of_the_current_folder(
    client: wb.Client, new_model: NewModel, weights: Path, repository: Path, run_cli: RunCli
) -> None:
    ref = run_cli("push", "-q", new_model(), weights, "--token", "s3cr3t", cwd=repository).out.strip()
    source = recorded(client, ref).source
    assert source is not None
    assert source.commit == git(repository, "rev-parse", "HEAD").decode().strip()
    assert tuple(source.command[-2:]) == ("--token", "[redacted]")
    shown = run_cli("show", ref).out
    assert source.commit[:12] in shown
    assert "changes" in shown
    assert "environment" in shown
    assert "packages" in shown
    document = run_cli("show", "--json", ref).json
    assert document["source"]["commit"] == source.commit
    assert document["environment"]["packages"]["blake3"]
    assert (document["signature"], document["energy"]) == (None, None)
