"""The data directory: made or recognised, and held by one server at a time.

Goals:

- One server a directory. Two would run two databases on one set of files, which destroys them.
- A restart after ``kill -9`` waits for what the killed server left running, and no longer.
- A directory that is not ours is refused before a byte is written into it.

Layout::

    weighbridge.json   the marker: the format of this directory
    lock               flock'ed by the server and by the PostgreSQL processes it started
    postgres/          the embedded database
    packs/             the stored chunks
    admin.token        with --auth: the token of the first administrator

The lock is an ``flock``: the kernel drops it with the last process that holds the open file, so
nothing that a crash leaves behind can look like a holder. The number inside the file only serves
messages. PostgreSQL inherits the open file: while a killed server's database is still shutting
down, the directory counts as in use, and the next server waits.

Order of writes, and what a crash leaves: directory (empty: started afresh), ``lock``, the marker
(under another name, fsync, rename, fsync of the directory), the two folders. ``lock`` and the
unfinished marker alone are recognised as a beginning of ours and completed by the next start.

As root, PostgreSQL runs as an unprivileged user that must pass through the data directory to reach
its own files. Directories made by root are therefore 0711 as far as ``postgres/``, and a data
directory of root's that nobody else could enter becomes so: they may be passed through, not listed.
``packs/``, the marker and the lock stay private to root. For anyone else everything is 0700.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from weighbridge.core.errors import StartupFailed
from weighbridge_server.durable_files import NEW_SUFFIX, sync_directory, write_durably

_log = logging.getLogger(__name__)

FORMAT = 1
"""The newest format of a data directory that this release reads and writes."""

_MARKER = "weighbridge.json"
_LOCK = "lock"
# What may lie in a directory that has no marker: our own beginning, and what mkfs leaves in a volume.
_HARMLESS = frozenset({_LOCK, _MARKER + NEW_SUFFIX, "lost+found"})


class DataDirectory:
    """An open data directory; its lock is held until :meth:`close`, or until the process ends."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        """Wrap a directory that is locked already; callers want :meth:`open`."""
        self.path = path
        self.postgres = path / "postgres"
        self.packs = path / "packs"
        self.admin_token = path / "admin.token"
        self._lock_fd: int | None = lock_fd

    @classmethod
    def open(cls, path: Path, *, wait_s: float = 30.0) -> Self:
        """Make the directory if absent, or recognise it, and take its lock.

        Waits up to ``wait_s`` seconds for the lock, because the PostgreSQL of a server that was
        killed may still be shutting down.

        Raises:
            StartupFailed: not ours, written by a newer release, in use, or not writable.
        """
        path = path.expanduser().resolve()
        try:
            _make_directory(path)
            _refuse_foreign(path)
            lock_fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                _take(lock_fd, path, wait_s)
                _claim(path)
                _let_through(path)
                directory = cls(path, lock_fd)
                _make_directory(directory.postgres)
                _make_directory(directory.packs, private=True)
            except BaseException:
                os.close(lock_fd)
                raise
        except OSError as error:
            raise StartupFailed(
                f"The data directory {path} cannot be used: {error}. "
                "Give the user that runs the server write access to it, or choose another one with --data."
            ) from error
        return directory

    @property
    def lock_fd(self) -> int:
        """The lock's file descriptor, for ``subprocess``'s ``pass_fds``.

        A child inherits it only when it is named there. From then on the directory is in use for
        as long as that child, or any child of it, lives.
        """
        if self._lock_fd is None:
            raise ValueError("the data directory is closed")
        return self._lock_fd

    def close(self) -> None:
        """Let go of the directory. Closing twice does nothing."""
        lock_fd, self._lock_fd = self._lock_fd, None
        if lock_fd is not None:
            # Never LOCK_UN: it would take the lock away from a PostgreSQL that still runs.
            os.close(lock_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make_directory(path: Path, *, private: bool = False) -> None:
    """Make a directory, with our modes and durably; one that exists keeps the modes that its owner chose."""
    if path.is_dir():
        return
    for parent in reversed([parent for parent in path.parents if not parent.exists()]):
        parent.mkdir(exist_ok=True)
        sync_directory(parent.parent)
    path.mkdir(exist_ok=True)
    path.chmod(0o711 if os.geteuid() == 0 and not private else 0o700)
    sync_directory(path.parent)


def _let_through(path: Path) -> None:
    """As root, lets other users pass through a data directory that only root could enter: PostgreSQL's has to.

    It is ours by now, and what is private in it has modes of its own. Nothing above it is touched, nor a
    directory whose owner let somebody through already.
    """
    status = path.stat()
    if os.geteuid() == 0 and status.st_uid == 0 and not status.st_mode & 0o011:
        path.chmod(status.st_mode | 0o011)


def _refuse_foreign(path: Path) -> None:
    names = {entry.name for entry in path.iterdir()}
    if _MARKER not in names and not names <= _HARMLESS:
        example = sorted(names - _HARMLESS)[0]
        raise StartupFailed(
            f"{path} is not a Weighbridge data directory: it holds {example!r} and no {_MARKER}. "
            "Choose an empty or absent directory with --data."
        )


def _claim(path: Path) -> None:
    """Check the marker, or write it; only under the lock."""
    # Once more: while we waited, whoever held the lock may have filled the directory.
    _refuse_foreign(path)
    marker = path / _MARKER
    try:
        text = marker.read_text(encoding="utf-8")
    except FileNotFoundError:
        write_durably(marker, json.dumps({"format": FORMAT}) + "\n")
        return
    except UnicodeDecodeError:
        text = ""
    try:
        found = json.loads(text)["format"]
    except (ValueError, KeyError, TypeError):
        found = None
    if type(found) is not int or found < 1:
        raise StartupFailed(
            f"{marker} is damaged: it does not state a format. If {path} is a data directory of Weighbridge, "
            f'write {{"format": {FORMAT}}} into that file; otherwise choose another directory with --data.'
        )
    if found > FORMAT:
        raise StartupFailed(
            f"{path} was written by a newer release of Weighbridge (format {found}; this release reads up to "
            f"{FORMAT}). Start it with that release, or choose another directory with --data."
        )


def _take(lock_fd: int, path: Path, wait_s: float) -> None:
    """Take the lock and write our number into it."""
    deadline = time.monotonic() + wait_s
    never = threading.Event()
    told = False
    while True:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            # Polled: flock knows no timeout, and a signal to break it off belongs to the application.
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise _in_use(lock_fd, path) from None
            if not told:
                _log.warning("%s is in use; waiting up to %.0f s until it is not", path, remaining_s)
                told = True
            never.wait(min(0.05, remaining_s))
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)


def _in_use(lock_fd: int, path: Path) -> StartupFailed:
    text = os.pread(lock_fd, 32, 0).decode("ascii", "replace").strip()
    holder = f"process {text}" if text.isdigit() else "another process"
    return StartupFailed(
        f"The data directory {path} is in use by {holder}, or by the PostgreSQL that it started. "
        "Stop that server, or choose another directory with --data.",
        details={"path": str(path), "pid": text},
    )
