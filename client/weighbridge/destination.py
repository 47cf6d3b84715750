"""Where a pull puts its files: under temporary names until every byte is verified."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from types import TracebackType

from weighbridge.core.chunks import Buffer
from weighbridge.core.digest import Digest
from weighbridge.core.errors import Cancelled, DestinationUnwritable, WeighbridgeError
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest
from weighbridge.core.paths import PARTIAL_PREFIX

_ZEROS = bytes(CHUNK_BYTES)
_LOCK = "lock"
_OPEN_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CLAIM_TRIES = 100


class Destination:
    """A folder that receives all files of a pull, or none. A context manager.

    The files grow in a hidden folder beside their final places, on the same file system. ``publish`` syncs
    each and renames it. A pull that fails leaves the folder as it found it. One that was killed, interrupted
    or cut off by an error that may pass leaves the hidden folder, named after the content: the next pull of
    the same content goes on with it, after every chunk in it was hashed again.

    Each file appears whole or not at all. A crash between two renames into a folder that held older files
    leaves some of either; ``verify`` shows it, and pulling again mends it.

    Nothing is written outside of the folder: no symbolic link below it is followed, neither one that was
    there before nor one that appears meanwhile.

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
        self._expected: list[int] = []
        self._begun: set[int] = set()
        self._placed: list[Path] = []
        self._writing = threading.Lock()
        """The kernel lets one thread write into a file at a time, and has the others spin."""

    def __enter__(self) -> Destination:
        try:
            self._made = _first_absent(self.folder)
            self._partial, self._lock_fd = _claim(self.folder, self._name)
        except OSError as fault:
            self._clean()
            raise _unwritable(self.folder, fault) from fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _may_go_on(error):
            os.close(self._lock_fd)
        else:
            self._clean()

    def expect(self, files: Sequence[FileManifest], in_place: Set[int] = frozenset()) -> set[int]:
        """Makes room for these files; returns the numbers of those that an earlier pull began.

        ``in_place``: the numbers of files that are where they belong already, and stay as they are.

        Refuses here, before anything comes over the wire, files that ``publish`` could not put in their places.
        """
        self._files = list(files)
        self._expected = [index for index in range(len(files)) if index not in in_place]
        for index in self._expected:
            _check_place(self.folder, files[index].path)
        for index in self._expected:
            file = files[index]
            try:
                try:
                    fd = self._open(index, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                except FileExistsError:
                    fd = self._open(index, os.O_WRONLY)
                    self._begun.add(index)
                with os.fdopen(fd, "wb", buffering=0) as made:
                    made.truncate(file.size_bytes)
            except OSError as fault:
                raise _unwritable(self.folder / file.path, fault) from fault
        return self._begun

    def read(self, index: int) -> Iterator[bytes]:
        """The chunks of file number ``index`` as they are now, in the order of its list."""
        try:
            with os.fdopen(self._open(index, os.O_RDONLY), "rb") as file:
                for chunk in self._files[index].chunks:
                    yield file.read(chunk.raw_bytes)
        except OSError as fault:
            raise _unwritable(self.folder / self._files[index].path, fault) from fault

    def write(self, index: int, offset: int, raw: Buffer) -> None:
        """Writes verified bytes into file number ``index``. Safe to use from several threads."""
        try:
            with os.fdopen(self._open(index, os.O_WRONLY), "wb", buffering=0) as file:
                view = memoryview(raw)
                if index not in self._begun and view[:8] == _ZEROS[:8] and bytes(view) == _ZEROS[: len(view)]:
                    return  # a hole reads as zeros and takes no space
                with self._writing:
                    while view:
                        written = os.pwrite(file.fileno(), view, offset)
                        view, offset = view[written:], offset + written
        except OSError as fault:
            raise _unwritable(self.folder / self._files[index].path, fault) from fault

    def settle(self) -> None:
        """Makes every unfinished file survive a power cut. Call it when every byte was verified."""
        for index in self._expected:
            file = self._files[index]
            try:
                with os.fdopen(self._open(index, os.O_RDONLY), "rb") as unfinished:
                    os.fsync(unfinished.fileno())
                with _parent(self.folder, file.path):
                    pass
            except OSError as fault:
                raise _unwritable(self.folder / file.path, fault) from fault

    def publish(self) -> None:
        """Puts every file in its place by an atomic rename. Call it after ``settle``."""
        last_of_folder = {self._files[index].path.rpartition("/")[0]: index for index in self._expected}
        for index in self._expected:
            file = self._files[index]
            try:
                with _parent(self.folder, file.path) as (parent, name):
                    os.rename(self._unfinished(index), name, dst_dir_fd=parent)
                    if last_of_folder[file.path.rpartition("/")[0]] == index:
                        os.fsync(parent)
            except OSError as fault:
                raise _unwritable(self.folder / file.path, fault) from fault
            self._placed.append(self.folder / file.path)
        self._made = None
        self._clear_others()

    def _unfinished(self, index: int) -> Path:
        assert self._partial is not None, "used outside its block"
        return self._partial / str(index)

    def _open(self, index: int, flags: int) -> int:
        """A descriptor of an unfinished file; OSError where somebody put something else in its place."""
        fd = os.open(self._unfinished(index), flags | _OPEN_FLAGS, 0o666)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "its unfinished copy is not a regular file")
        return fd

    def _clean(self) -> None:
        if self._partial is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
        if self._made is not None:  # what this pull made, and not what another put into it meanwhile
            for placed in self._placed:
                with contextlib.suppress(OSError):
                    placed.unlink()
            for folder, _, _ in os.walk(self._made, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()

    def _clear_others(self) -> None:
        """Removes what pulls of other content left here, unless one of them runs."""
        for other in self.folder.glob(PARTIAL_PREFIX + "*"):
            if other == self._partial or other.is_symlink():
                continue
            with contextlib.suppress(OSError):
                fd = _lock(other)
                shutil.rmtree(other, ignore_errors=True)
                os.close(fd)


def _may_go_on(error: BaseException | None) -> bool:
    """Whether what was brought so far is worth keeping for the next try."""
    return isinstance(error, KeyboardInterrupt | Cancelled) or (isinstance(error, WeighbridgeError) and error.retryable)


def _claim(folder: Path, name: str) -> tuple[Path, int]:
    """The folder for unfinished files, and the descriptor that locks it against other pulls.

    A pull that ends removes its folder before it lets go of the lock. Who locked a file that is no longer
    there, or found the folder gone, comes too late and begins anew.
    """
    for _ in range(_CLAIM_TRIES):
        with contextlib.suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / name
            partial.mkdir(mode=0o700, exist_ok=True)
            if partial.is_symlink():
                raise OSError(errno.ELOOP, f"{partial} is a symbolic link; remove it")
            try:
                fd = _lock(partial)
            except BlockingIOError:  # another process pulls the same content here: both do their work, one wins
                partial = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
                fd = _lock(partial)
            if _holds(partial, fd):
                return partial, fd
            os.close(fd)
    raise OSError(errno.EBUSY, "other pulls keep removing the folder for unfinished files")


def _holds(partial: Path, fd: int) -> bool:
    """Whether a locked descriptor is that of the lock that is there now."""
    try:
        return os.path.samestat((partial / _LOCK).lstat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _lock(partial: Path) -> int:
    """Locks a folder of unfinished files; BlockingIOError when a running pull has it."""
    fd = os.open(partial / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_place(folder: Path, path: str) -> None:
    """Raises DestinationUnwritable where what the folder holds stands in the way of a file."""
    place = folder
    *parents, name = path.split("/")
    for parent in parents:
        place /= parent
        mode = _mode(place)
        if mode is None:
            return
        if stat.S_ISLNK(mode):
            raise _unwritable(place, OSError(errno.ELOOP, f"it is a link, and {path!r} would be written through it"))
        if not stat.S_ISDIR(mode):
            raise _unwritable(place, OSError(errno.ENOTDIR, f"it is a file, and {path!r} needs a folder there"))
    mode = _mode(place / name)
    if mode is not None and stat.S_ISDIR(mode):
        raise _unwritable(place / name, OSError(errno.EISDIR, "it is a folder, and the version has a file there"))


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise _unwritable(path, fault) from fault


@contextlib.contextmanager
def _parent(folder: Path, path: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that a file goes to, made where absent, and the file's name in it.

    Each step is taken from the descriptor of the one before and follows no link, so that nothing that is
    changed meanwhile leads outside.
    """
    *parents, name = path.split("/")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            with contextlib.suppress(FileExistsError):
                os.mkdir(parent, dir_fd=fd)
            below = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd, name
    finally:
        os.close(fd)


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
