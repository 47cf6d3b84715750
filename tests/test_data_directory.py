"""The data directory: made with the right modes, recognised, refused, and held by one process."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weighbridge.core.errors import StartupFailed
from weighbridge_server.data_directory import FORMAT, DataDirectory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root makes directories that others may pass through")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")

_HOLDER = """
import subprocess, sys
from pathlib import Path
from weighbridge_server.data_directory import DataDirectory

data = DataDirectory.open(Path(sys.argv[1]))
if "--with-child" in sys.argv:
    # As PostgreSQL does: inherits the lock and ends only when this pipe is closed by the test.
    child = subprocess.Popen(["cat"], stdin=0, stdout=subprocess.DEVNULL, pass_fds=(data.lock_fd,))
print("held", flush=True)
if "--with-child" in sys.argv:
    child.wait()
else:
    sys.stdin.read()
"""


def _hold(path: Path, *options: str) -> subprocess.Popen[bytes]:
    """Another process that holds the directory until its standard input is closed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_absent_directory_is_made_with_its_parents_marker_and_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"

    with DataDirectory.open(path) as data:
        assert data.path == path
        assert (data.postgres, data.packs) == (path / "postgres", path / "packs")
        assert data.postgres.is_dir()
        assert data.packs.is_dir()

    assert json.loads((path / "weighbridge.json").read_text()) == {"format": FORMAT}
    assert sorted(entry.name for entry in path.iterdir()) == ["lock", "packs", "postgres", "weighbridge.json"]


def test_nothing_but_the_way_to_postgres_is_open_to_others(tmp_path: Path) -> None:
    passable = 0o711 if os.geteuid() == 0 else 0o700

    with DataDirectory.open(tmp_path / "data") as data:
        assert _mode(data.path) == passable
        assert _mode(data.postgres) == passable
        assert _mode(data.packs) == 0o700
        assert _mode(data.path / "lock") == 0o600
        assert _mode(data.path / "weighbridge.json") == 0o600


def test_a_directory_that_its_owner_made_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(0o750)

    DataDirectory.open(path).close()

    assert _mode(path) == 0o750


@as_root
def test_a_directory_that_only_root_could_enter_is_opened_for_passing_through(tmp_path: Path) -> None:
    """What ``mktemp -d`` makes; PostgreSQL's user has to reach its own files in it."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)

    with DataDirectory.open(path) as data:
        assert (_mode(path), _mode(data.packs), _mode(tmp_path)) == (0o711, 0o700, 0o700)


def test_a_directory_opens_again_and_keeps_what_it_holds(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path / "data") as data:
        (data.packs / "pack").write_bytes(b"weights")

    with DataDirectory.open(tmp_path / "data") as data:
        assert (data.packs / "pack").read_bytes() == b"weights"


@pytest.mark.parametrize("leftover", [[], ["lock"], ["lock", "weighbridge.json.new"], ["lost+found"]])
def test_a_beginning_cut_short_is_completed(tmp_path: Path, leftover: list[str]) -> None:
    for name in leftover:
        (tmp_path / name).write_text('{"for')

    with DataDirectory.open(tmp_path) as data:
        assert json.loads((data.path / "weighbridge.json").read_text()) == {"format": FORMAT}
        assert not (data.path / "weighbridge.json.new").exists()


def test_a_directory_of_somebody_else_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("hello")

    with pytest.raises(StartupFailed, match=r"not a Weighbridge data directory.*'thesis.tex'.*--data"):
        DataDirectory.open(tmp_path)

    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("")

    with pytest.raises(StartupFailed, match="cannot be used"):
        DataDirectory.open(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    DataDirectory.open(tmp_path / "data").close()
    (tmp_path / "data" / "weighbridge.json").write_text(json.dumps({"format": FORMAT + 1}))

    with pytest.raises(StartupFailed, match=rf"newer release.*format {FORMAT + 1}"):
        DataDirectory.open(tmp_path / "data")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "1"}', '{"format": true}', '{"format": 0}', "\0"])
def test_a_damaged_marker_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    DataDirectory.open(tmp_path / "data").close()
    marker = tmp_path / "data" / "weighbridge.json"
    marker.write_text(text)

    with pytest.raises(StartupFailed, match="damaged"):
        DataDirectory.open(tmp_path / "data")

    assert marker.read_text() == text


@not_as_root
def test_a_directory_without_write_access_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(StartupFailed, match=r"cannot be used.*Permission denied"):
        DataDirectory.open(tmp_path / "data")


@pytest.mark.timeout(25)  # a server that starts would wait for 30 s
def test_a_second_opener_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    with _hold(tmp_path / "data") as holder:
        begun = time.monotonic()
        with pytest.raises(StartupFailed, match=rf"in use by process {holder.pid}\b") as caught:
            DataDirectory.open(tmp_path / "data", wait_s=0.2)
        assert time.monotonic() - begun >= 0.2
        assert caught.value.details["pid"] == str(holder.pid)
        holder.kill()


def test_the_same_process_cannot_open_it_twice(tmp_path: Path) -> None:
    with (
        DataDirectory.open(tmp_path / "data"),
        pytest.raises(StartupFailed, match=f"in use by process {os.getpid()}"),
    ):
        DataDirectory.open(tmp_path / "data", wait_s=0)


def test_a_killed_holder_leaves_nothing_behind(tmp_path: Path) -> None:
    with _hold(tmp_path / "data") as holder:
        holder.kill()
        holder.wait()

        with DataDirectory.open(tmp_path / "data", wait_s=0) as data:
            assert (data.path / "lock").read_text() == f"{os.getpid()}\n"


def test_what_a_killed_holder_left_running_is_waited_for(tmp_path: Path) -> None:
    with _hold(tmp_path / "data", "--with-child") as holder:
        holder.kill()
        holder.wait()
        with pytest.raises(StartupFailed, match=rf"in use by process {holder.pid}, or by the PostgreSQL"):
            DataDirectory.open(tmp_path / "data", wait_s=0.2)

        assert holder.stdin is not None
        holder.stdin.close()  # the child ends, and with it the lock

        DataDirectory.open(tmp_path / "data", wait_s=30).close()


def test_closing_does_not_take_the_lock_from_a_child_that_inherited_it(tmp_path: Path) -> None:
    data = DataDirectory.open(tmp_path / "data")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(data.lock_fd,)) as child:
        data.close()
        with pytest.raises(StartupFailed, match="in use"):
            DataDirectory.open(tmp_path / "data", wait_s=0)
        child.communicate()

    DataDirectory.open(tmp_path / "data", wait_s=0).close()


def test_a_child_that_was_not_given_the_lock_does_not_hold_it(tmp_path: Path) -> None:
    data = DataDirectory.open(tmp_path / "data")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        data.close()
        DataDirectory.open(tmp_path / "data", wait_s=0).close()
        child.communicate()


def test_a_refused_opening_lets_the_lock_go(tmp_path: Path) -> None:
    DataDirectory.open(tmp_path / "data").close()
    marker = tmp_path / "data" / "weighbridge.json"
    sound = marker.read_text()
    marker.write_text("damaged")
    with pytest.raises(StartupFailed):
        DataDirectory.open(tmp_path / "data")
    marker.write_text(sound)

    DataDirectory.open(tmp_path / "data", wait_s=0).close()


def test_closing_twice_is_harmless_and_the_lock_is_gone(tmp_path: Path) -> None:
    data = DataDirectory.open(tmp_path / "data")
    data.close()
    data.close()

    with pytest.raises(ValueError, match="closed"):
        _ = data.lock_fd


@as_root
def test_root_opens_the_way_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with DataDirectory.open(tmp_path / "data") as data:
            assert _mode(data.postgres) == 0o711
    finally:
        os.umask(before)
