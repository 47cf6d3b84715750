"""The lock file of a record, which has its name and digest: found where a clone is at hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from blake3 import blake3

from weighbridge.capture.git import ENVIRONMENT, top_level
from weighbridge.capture.lock_file import NAMES
from weighbridge.capture.programs import read
from weighbridge.core.digest import format_digest
from weighbridge.core.values import Record

_LIMIT_S = 10.0
_COMMIT = re.compile("[0-9a-f]{40,64}")


@dataclass(frozen=True)
class LockFile:
    """A lock file that has the recorded digest."""

    path: str
    """In the commit; empty where the commit does not have it, and the working tree does."""
    content: bytes


def recorded_lock(record: Record, folder: Path) -> LockFile | None:
    """The lock file of the record, from the clone that ``folder`` is in. None: it is not at hand."""
    return lock_of_commit(record, folder) or lock_here(record, folder)


def lock_of_commit(record: Record, folder: Path) -> LockFile | None:
    """As ``recorded_lock``, from the recorded commit only."""
    top, source = top_level(folder), record.source
    if top is None or source is None or not _COMMIT.fullmatch(source.commit):
        return None
    with suppress(OSError):
        return _right(record, lambda name: _of_commit(top, source.commit, name))
    return None  # the clone does not have the commit


def lock_here(record: Record, folder: Path) -> LockFile | None:
    """As ``recorded_lock``, from the working tree only."""
    return _right(record, lambda name: _of_tree(record, folder, name))


def is_lock_name(name: str) -> bool:
    """Whether it is the name of a lock file, and no path: the record may be anyone's."""
    return "/" not in name and any(fnmatchcase(name, pattern) for pattern in NAMES)


def _right(record: Record, candidates: Callable[[str], Iterator[LockFile]]) -> LockFile | None:
    """The first candidate that has the recorded digest."""
    environment = record.environment
    if environment is None or not environment.lock_digest or not is_lock_name(environment.lock_file):
        return None
    for lock in candidates(environment.lock_file):
        if format_digest(blake3(lock.content).digest()) == environment.lock_digest:
            return lock
    return None


def _of_commit(top: Path, commit: str, name: str) -> Iterator[LockFile]:
    git = ("git", "-C", str(top))
    listed = read([*git, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit], _LIMIT_S, ENVIRONMENT)
    for path in listed.decode(errors="surrogateescape").split("\0"):
        if PurePosixPath(path).name == name:
            content = read([*git, "cat-file", "blob", f"{commit}:{path}"], _LIMIT_S, ENVIRONMENT)
            yield LockFile(path.encode(errors="replace").decode(), content)


def _of_tree(record: Record, folder: Path, name: str) -> Iterator[LockFile]:
    """Where the capture would look, upward from the folder and from that of the script; where the commit has it."""
    top = (top_level(folder) or folder).resolve()
    script = top / (record.source.entry_point if record.source is not None else "")
    for start in (folder.resolve(), script.resolve().parent):
        for place in (start, *start.parents):
            if not place.is_relative_to(top):
                break
            with suppress(OSError):
                yield LockFile("", (place / name).read_bytes())
    committed = lock_of_commit(record, folder)
    if committed is not None:
        with suppress(OSError):
            yield LockFile(committed.path, (top / committed.path).read_bytes())
