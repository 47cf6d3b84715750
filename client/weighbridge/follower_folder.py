"""The folder of one follower: the lock that keeps others out, and which folders below it are its own to remove."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

from weighbridge.core.errors import DestinationUnwritable, UsageError
from weighbridge.core.paths import PARTIAL_PREFIX
from weighbridge.core.refs import parse_ref
from weighbridge.receipt import load_receipt

_LOCK = ".follow"


class FollowerFolder:
    """Has a folder for each version, called by its number, and removes no other.

    Held from the moment it is made until ``close``. Used by one thread at a time.
    """

    def __init__(self, folder: Path, model: str) -> None:
        """Makes the folder where it is absent, and holds it.

        Raises:
            UsageError: another follower, in whatever process, holds the folder.
            DestinationUnwritable: it cannot be made or locked.
        """
        self._folder = folder
        self._model = model
        self._made: set[Path] = set()
        """Those that were absent, or held nothing, before this follower pulled into them."""
        self._theirs: set[Path] = set()
        """Those that held something else, and still do: what a pull added does not make them ours."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as fault:
            raise DestinationUnwritable(
                f"{folder} cannot be written: {fault.strerror or fault}", details={"path": str(folder)}
            ) from fault
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            os.close(self._lock_fd)
            raise UsageError(
                f"another follower keeps its versions in {folder.resolve()}; give each follower a dest of its own"
            ) from fault
        except OSError:  # a file system without locks
            pass

    def place(self, number: int) -> Path:
        """Where a version goes. Ask before each pull: whose folder it is shows in what it holds before."""
        path = self._folder / str(number)
        if path not in self._made | self._theirs:
            if _is_free(path):
                self._made.add(path)
            elif not self._is_ours(path):
                self._theirs.add(path)
        return path

    def release(self, kept: Path) -> None:
        """Removes the folders of other versions: the one before, and what a process that was killed left.

        Raises:
            OSError: the folder cannot be read.
        """
        for path in list(self._folder.iterdir()):
            if not path.name.isdecimal() or path.is_symlink() or not path.is_dir():
                continue
            if path == kept or path in self._theirs:
                continue
            if path in self._made or _is_free(path) or self._is_ours(path):
                shutil.rmtree(path, ignore_errors=True)
                self._made.discard(path)

    def close(self, kept: Path | None) -> None:
        """Removes what a pull brought, or began to, and does not run; then another follower may have the folder.

        The file of the lock stays: where it were removed, two that come next might both hold one.
        """
        for path in self._made - {kept}:
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            # Not left to the closing alone: a child that was forked meanwhile has the same lock.
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
        os.close(self._lock_fd)

    def _is_ours(self, path: Path) -> bool:
        """A version of the model was pulled into it, by whomever."""
        receipt = load_receipt(path)
        return receipt is not None and parse_ref(receipt.ref).model == self._model


def _is_free(path: Path) -> bool:
    """Nothing is there, or nothing but what a pull left unfinished that was killed before it could keep a receipt."""
    try:
        return all(below.name.startswith(PARTIAL_PREFIX) for below in path.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False
