"""Bad input gets one clear line, with what to do, and changes nothing. Each through the real command line."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import RunCli, RunningServer

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
NewModel = Callable[[], str]


@pytest.fixture
def small_disk(session_dir: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    path = session_dir / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0711", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)
    path.rmdir()


def refused(run_cli: RunCli, path: Path, reason: str, *said: str) -> None:
    """A push of a path is refused, says these things, and registers nothing."""
    ran = run_cli("push", "bad.input.model", path)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {reason}: ")
    for expected in said:
        assert expected in ran.err
    assert "MODEL_NOT_FOUND" in run_cli("versions", "bad.input.model").err, "the refused push registered the model"


def test_a_pipe_and_a_dangling_link_are_both_named(run_cli: RunCli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone.bin").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    refused(
        run_cli,
        tmp_path,
        "SOURCE_UNREADABLE",
        "pipe: is a pipe, not a regular file",
        "gone.bin: does not exist",
        "loop: is a link to a folder that contains it",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").touch(mode=0o000)
    refused(run_cli, tmp_path, "SOURCE_UNREADABLE", "secret.bin: may not be read by this user")


def test_an_empty_folder_holds_nothing_to_push(run_cli: RunCli, tmp_path: Path) -> None:
    refused(run_cli, tmp_path, "SOURCE_UNREADABLE", "there is no file to push")


def test_paths_that_differ_in_case_only_collide(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "Model.bin").touch()
    (tmp_path / "model.bin").touch()
    refused(run_cli, tmp_path, "INVALID_PATH", "model.bin: collides with 'Model.bin'")


def test_a_path_of_513_bytes_is_too_long(run_cli: RunCli, tmp_path: Path) -> None:
    deep = tmp_path / "d" / ("a" * 255)
    deep.mkdir(parents=True)
    (deep / ("b" * 254)).touch()  # d/ and / and the two names: 512 bytes below tmp_path, 513 with one more
    assert run_cli("push", "good.input.model", tmp_path).code == 0
    (deep / ("b" * 255)).touch()
    refused(run_cli, tmp_path, "INVALID_PATH", "is 513 bytes long; at most 512 are allowed")


def test_twenty_thousand_and_one_files_are_too_many(run_cli: RunCli, tmp_path: Path) -> None:
    for number in range(20_001):
        (tmp_path / f"{number}").touch()
    refused(run_cli, tmp_path, "LIMIT_EXCEEDED", "20001 files", "at most 20000", "Pack small files together")


def test_a_file_that_is_written_to_meanwhile_is_noticed(run_cli: RunCli, tmp_path: Path) -> None:
    path, done = tmp_path / "growing.bin", threading.Event()
    path.write_bytes(bytes(50_000_000))

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"more")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        ran = run_cli("push", "bad.input.changing", path)
    finally:
        done.set()
        writer.join()
    assert ran.code == 1
    assert ran.err.startswith("error: SOURCE_CHANGED: ")
    assert "growing.bin changed while it was being pushed" in ran.err
    assert "no versions" in run_cli("versions", "bad.input.changing").out


@as_root
def test_no_space_where_a_pull_goes(run_cli: RunCli, new_model: NewModel, tmp_path: Path, small_disk: Path) -> None:
    model = new_model()
    (tmp_path / "weights.bin").write_bytes(os.urandom(30_000_000))
    run_cli("push", model, tmp_path / "weights.bin")
    ran = run_cli("pull", model, small_disk / "out")
    assert ran.code == 1
    assert ran.err.startswith("error: DESTINATION_UNWRITABLE: ")
    assert "weights.bin" in ran.err
    assert "No space left" in ran.err
    assert list(small_disk.iterdir()) == []


@pytest.mark.long
@as_root
def test_no_space_on_the_server(
    data_dir: Path, postgres_url: str, empty_database: str, run_cli: RunCli, tmp_path: Path, small_disk: Path
) -> None:
    server = RunningServer(small_disk / "data", ("--database", empty_database)).start()
    try:
        (tmp_path / "large.bin").write_bytes(os.urandom(30_000_000))
        (tmp_path / "small.bin").write_bytes(os.urandom(1_000_000))
        ran = run_cli("push", "a.b.c", tmp_path / "large.bin", address=server.address)
        assert ran.code == 1
        assert ran.err.startswith("error: STORAGE_FULL: ")
        assert "No space left" in ran.err
        # It serves on, and what fits is taken.
        assert run_cli("push", "a.b.c", tmp_path / "small.bin", address=server.address).code == 0
    finally:
        server.stop()


def test_a_pull_into_a_file_is_refused(run_cli: RunCli, new_model: NewModel, tmp_path: Path) -> None:
    model, in_the_way = new_model(), tmp_path / "in-the-way"
    in_the_way.write_text("mine")
    run_cli("push", model, in_the_way)
    ran = run_cli("pull", model, in_the_way)
    assert ran.code == 1
    assert ran.err.startswith("error: DESTINATION_UNWRITABLE: ")
    assert str(in_the_way) in ran.err
    assert in_the_way.read_text() == "mine"


def test_a_pull_over_a_folder_is_refused(run_cli: RunCli, new_model: NewModel, tmp_path: Path) -> None:
    model, out = new_model(), tmp_path / "out"
    (tmp_path / "weights.bin").write_bytes(b"x")
    run_cli("push", model, tmp_path / "weights.bin")
    (out / "weights.bin").mkdir(parents=True)
    (out / "weights.bin" / "mine.txt").write_text("mine")
    ran = run_cli("pull", model, out)
    assert ran.code == 1
    assert ran.err.startswith("error: DESTINATION_UNWRITABLE: ")
    assert [path.name for path in out.iterdir()] == ["weights.bin"]
    assert (out / "weights.bin" / "mine.txt").read_text() == "mine"


def test_a_description_of_64_kib_and_one_byte(run_cli: RunCli, new_model: NewModel) -> None:
    ran = run_cli("push", new_model(), "/etc/hostname", "--description", "x" * 65_537)
    assert ran.code == 1
    assert ran.err.startswith("error: LIMIT_EXCEEDED: ")
    assert "65536" in ran.err
    assert "Push long texts and tables as files" in ran.err


def test_numbers_that_cannot_be_kept_are_all_named(run_cli: RunCli, new_model: NewModel) -> None:
    ran = run_cli("push", new_model(), "/etc/hostname", "--param", f"big={2**60}", "--tag", "=1", "--json")
    assert ran.code == 2  # a tag without a name is the parser's to refuse
    ran = run_cli("push", new_model(), "/etc/hostname", "--param", f"big={2**60}", "--param", "huge=1e999", "--json")
    assert ran.code == 1
    assert [item["path"] for item in ran.json["error"]["violations"]] == ["params.big", "params.huge"]
