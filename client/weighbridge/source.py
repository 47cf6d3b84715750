"""What is pushed: the regular files that given paths stand for, and reading them without surprises."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import chunk_digest
from weighbridge.core.errors import SourceChanged, SourceUnreadable, Violation
from weighbridge.core.limits import CHUNK_BYTES, CHUNKS_PER_VERSION, check_limit
from weighbridge.core.paths import PARTIAL_PREFIX, TakenPaths


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be pushed: where it is here, and its path within the version."""

    local: Path
    path: str
    size_bytes: int
    modified_ns: int
    """When it was last modified, as its file system says."""


def scan(paths: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """The files that these paths stand for, in order of their path within the version.

    A folder's files keep their paths relative to it, a file its base name. Symbolic links are followed.

    Raises:
        SourceUnreadable: something is absent, unreadable or not a regular file; one violation each.
        InvalidPath, LimitExceeded: a version cannot hold these paths.
    """
    sources: list[Source] = []
    violations: list[Violation] = []
    for path in map(Path, paths):
        for found in _walk(path, path.name, ()) if not path.is_dir() else _walk_folder(path, "", ()):
            if isinstance(found, Source):
                sources.append(found)
            else:
                violations.append(found)
    if violations:
        raise SourceUnreadable("some of what should be pushed cannot be read", violations=violations)
    if not sources:
        raise SourceUnreadable("there is no file to push: the folder is empty")
    sources.sort(key=lambda source: source.path)
    SourcesTogether().take(sources)
    return sources


def scan_again(sources: Sequence[Source]) -> list[Source]:
    """The same files as they are now.

    Raises:
        SourceUnreadable: something is absent, unreadable or not a regular file; one violation each.
    """
    found = [_found_again(source) for source in sources]
    if violations := [item for item in found if isinstance(item, Violation)]:
        raise SourceUnreadable("some of what should be pushed cannot be read any more", violations=violations)
    return [item for item in found if isinstance(item, Source)]


class SourcesTogether:
    """What the files of one version come to, which is added to it in parts."""

    def __init__(self) -> None:
        self._paths = TakenPaths()
        self._chunks = 0

    def take(self, sources: Sequence[Source]) -> None:
        """Adds files, all of them or none.

        Raises:
            InvalidPath, LimitExceeded: one version cannot hold these and those before.
        """
        chunks = self._chunks + sum(-(-source.size_bytes // CHUNK_BYTES) for source in sources)
        check_limit("chunks of 2 MiB", chunks, CHUNKS_PER_VERSION)
        self._paths.take((source.path, str(source.local)) for source in sources)
        self._chunks = chunks


def _walk(local: Path, path: str, above: tuple[tuple[int, int], ...]) -> Iterator[Source | Violation]:
    try:
        status = local.stat()
    except OSError as fault:
        yield Violation(str(local), _why(fault))
        return
    if stat.S_ISDIR(status.st_mode):
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            yield Violation(str(local), "is a link to a folder that contains it")
        else:
            yield from _walk_folder(local, path + "/", (*above, identity))
    else:
        yield _file(local, path, status)


def _found_again(source: Source) -> Source | Violation:
    try:
        return _file(source.local, source.path, source.local.stat())
    except OSError as fault:
        return Violation(str(source.local), _why(fault))


def _file(local: Path, path: str, status: os.stat_result) -> Source | Violation:
    if not stat.S_ISREG(status.st_mode):
        return Violation(str(local), f"is a {_kind(status.st_mode)}, not a regular file")
    if not os.access(local, os.R_OK):
        return Violation(str(local), "may not be read by this user")
    return Source(local, path, status.st_size, status.st_mtime_ns)


def _walk_folder(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[Source | Violation]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as fault:
        yield Violation(str(folder), _why(fault))
        return
    for entry in entries:
        if entry.name.startswith(PARTIAL_PREFIX) and entry.is_dir():
            continue
        yield from _walk(entry, prefix + entry.name, above)


def _why(fault: OSError) -> str:
    return {
        2: "does not exist",
        13: "may not be read by this user",
        40: "is a link that leads to itself",
    }.get(fault.errno or 0, fault.strerror or str(fault))


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "folder"),
        (stat.S_ISFIFO, "pipe"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISBLK, "device"),
        (stat.S_ISCHR, "device"),
    )
    return next((kind for test, kind in kinds if test(mode)), "special file")


class SourceReader:
    """Reads one source at any offset and notices when it changes meanwhile. A context manager.

    Raises:
        SourceUnreadable: it cannot be opened or read.
        SourceChanged: it is not what it was when it was scanned.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._fd = -1

    def __enter__(self) -> SourceReader:
        try:
            self._fd = os.open(self._source.local, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as fault:
            raise self._unreadable(fault) from fault
        try:
            self.check_unchanged()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer only at the end of the file."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as fault:
            raise self._unreadable(fault) from fault

    def read_into(self, room: memoryview, offset: int) -> None:
        """Fills ``room`` with the bytes from ``offset``."""
        try:
            read = os.preadv(self._fd, [room], offset)
        except OSError as fault:
            raise self._unreadable(fault) from fault
        if read != len(room):
            raise self._changed()

    def read_again(self, room: memoryview, offset: int, expected: ChunkRef) -> None:
        """As ``read_into``, for a chunk that was read and hashed before."""
        self.read_into(room, offset)
        if chunk_digest(room) != expected.digest:
            raise self._changed()

    def check_unchanged(self) -> None:
        """Call it after the last read: all that was read since the scan is then one state of the file."""
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._source.size_bytes, self._source.modified_ns):
            raise self._changed()

    def _changed(self) -> SourceChanged:
        local = str(self._source.local)
        return SourceChanged(
            f"{local} changed while it was being pushed. Push it when nothing writes to it, or push a copy",
            details={"path": local},
        )

    def _unreadable(self, fault: OSError) -> SourceUnreadable:
        local = str(self._source.local)
        return SourceUnreadable(f"{local} cannot be read: {_why(fault)}", details={"path": local})
