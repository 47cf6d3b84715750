"""Where a pull puts its files: under temporary names until every byte is verified."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from weighbridge.core.digest import Digest
from weighbridge.core.errors import DeadlineExceeded, DestinationUnwritable, Unavailable
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest
from weighbridge.source import PARTIAL_PREFIX

_ZEROS = bytes(CHUNK_BYTES)
_LOCK = "lock"


class Destination:
    """A folder that receives all files of a pull, or none. A context manager.

    The files grow in a hidden folder beside their final places, on the same file system. ``publish`` syncs
    each and renames it. A pull that fails leaves the folder as it found it. One that was killed, interrupted
    or cut off leaves the hidden folder, named after the content: the next pull of the same content goes on
    with it, after every chunk in it was hashed again.

    Raises (every method):
        DestinationUnwritable: naming what could not be written, and why.
    """

    def __init__(self, folder: Path, manifest: Digest) -> None:
        self.folder = folder
        self._name = PARTIAL_PREFIX + manifest.hex()[:16]
        self._made: Path | None = None
        self._partial: Path | None = None
        self._lock_fd = -1
        self._files: list[FileManifest] = []
        self._begun: set[int] = set()

    def __enter__(self) -> Destination:
        try:
            self._made = _first_absent(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._partial, self._lock_fd = _claim(self.folder, self._name)
        except OSError as fault:
            self._clean()
            raise _unwritable(self.folder, fault) from fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt | Unavailable | DeadlineExceeded):
            os.close(self._lock_fd)
        else:
            self._clean()

    def expect(self, files: Sequence[FileManifest]) -> set[int]:
        """Makes room for these files; returns the numbers of those that an earlier pull began."""
        self._files = list(files)
        for index, file in enumerate(self._files):
            try:
                unfinished = self._unfinished(index)
                if unfinished.is_file():
                    self._begun.add(index)
                with unfinished.open("ab") as made:
                    made.truncate(file.size_bytes)
            except OSError as fault:
                raise _unwritable(self.folder / file.path, fault) from fault
        return self._begun

    def read(self, index: int) -> Iterator[bytes]:
        """The chunks of file number ``index`` as they are now, in the order of its list."""
        try:
            with self._unfinished(index).open("rb") as file:
                for chunk in self._files[index].chunks:
                    yield file.read(chunk.raw_bytes)
        except OSError as fault:
            raise _unwritable(self.folder / self._files[index].path, fault) from fault

    def write(self, index: int, offset: int, raw: bytes) -> None:
        """Writes verified bytes into file number ``index``."""
        try:
            with self._unfinished(index).open("r+b", buffering=0) as file:
                if index not in self._begun and raw == _ZEROS[: len(raw)]:
                    return  # a hole reads as zeros and takes no space
                view = memoryview(raw)
                while view:
                    written = os.pwrite(file.fileno(), view, offset)
                    view, offset = view[written:], offset + written
        except OSError as fault:
            raise _unwritable(self.folder / self._files[index].path, fault) from fault

    def publish(self) -> None:
        """Puts every file in its place by an atomic rename. Call it when every byte was verified."""
        for index, file in enumerate(self._files):
            try:
                with self._unfinished(index).open("r+b") as unfinished:
                    os.fsync(unfinished.fileno())
                (self.folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            except OSError as fault:
                raise _unwritable(self.folder / file.path, fault) from fault
        for index, file in enumerate(self._files):
            try:
                self._unfinished(index).rename(self.folder / file.path)
            except OSError as fault:
                raise _unwritable(self.folder / file.path, fault) from fault
        self._made = None
        self._clear_others()

    def _unfinished(self, index: int) -> Path:
        assert self._partial is not None, "used outside its block"
        return self._partial / str(index)

    def _clean(self) -> None:
        if self._partial is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)

    def _clear_others(self) -> None:
        """Removes what pulls of other content left here, unless one of them runs."""
        for other in self.folder.glob(PARTIAL_PREFIX + "*"):
            if other == self._partial:
                continue
            with contextlib.suppress(OSError):
                fd = _lock(other)
                shutil.rmtree(other, ignore_errors=True)
                os.close(fd)


def _claim(folder: Path, name: str) -> tuple[Path, int]:
    """The folder for unfinished files, and the descriptor that locks it against other pulls."""
    partial = folder / name
    partial.mkdir(mode=0o700, exist_ok=True)
    try:
        return partial, _lock(partial)
    except BlockingIOError:  # another process pulls the same content here: both do their work, one wins
        own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        return own, _lock(own)


def _lock(partial: Path) -> int:
    """Locks a folder of unfinished files; BlockingIOError when a running pull has it."""
    fd = os.open(partial / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _first_absent(folder: Path) -> Path | None:
    """The topmost folder that making ``folder`` would make; None when it is there."""
    absent = None
    for candidate in (folder, *folder.parents):
        if candidate.exists():
            break
        absent = candidate
    return absent


def _unwritable(path: Path, fault: OSError) -> DestinationUnwritable:
    return DestinationUnwritable(f"{path} cannot be written: {fault.strerror or fault}", details={"path": str(path)})
