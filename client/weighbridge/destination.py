"""Where a pull puts its files: under temporary names until every byte is verified."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from weighbridge.core.errors import DestinationUnwritable
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest

_ZEROS = bytes(CHUNK_BYTES)


class Destination:
    """A folder that receives all files of a pull, or none. A context manager.

    The files grow in a hidden folder beside their final places, on the same file system. ``publish`` syncs
    each and renames it. Whatever happens before that, the folder is left as it was found.

    Raises (every method):
        DestinationUnwritable: naming what could not be written, and why.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: Path | None = None
        self._staging: Path | None = None
        self._files: list[FileManifest] = []

    def __enter__(self) -> Destination:
        try:
            self._made = _first_absent(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._staging = Path(tempfile.mkdtemp(prefix=".weighbridge-", dir=self.folder))
        except OSError as fault:
            self._clean()
            raise _unwritable(self.folder, fault) from fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean()

    def expect(self, files: Sequence[FileManifest]) -> None:
        """Makes room for these files, full of zeros."""
        self._files = list(files)
        needed = sum(file.size_bytes for file in files)
        for index, file in enumerate(self._files):
            try:
                with self._unfinished(index).open("xb") as made:
                    made.truncate(file.size_bytes)
            except OSError as fault:
                raise _unwritable(self.folder / file.path, fault, needed) from fault

    def write(self, index: int, offset: int, raw: bytes) -> None:
        """Writes verified bytes into file number ``index``."""
        if raw == _ZEROS[: len(raw)]:
            return  # a hole reads as zeros and takes no space
        try:
            with self._unfinished(index).open("r+b", buffering=0) as file:
                view = memoryview(raw)
                while view:
                    written = os.pwrite(file.fileno(), view, offset)
                    view, offset = view[written:], offset + written
        except OSError as fault:
            raise _unwritable(self.folder / self._files[index].path, fault) from fault

    def publish(self) -> None:
        """Puts every file in its place by an atomic rename. Call it when every byte was verified."""
        for index in range(len(self._files)):
            try:
                with self._unfinished(index).open("r+b") as unfinished:
                    os.fsync(unfinished.fileno())
            except OSError as fault:
                raise _unwritable(self.folder / self._files[index].path, fault) from fault
        for index, file in enumerate(self._files):
            final = self.folder / file.path
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                self._unfinished(index).rename(final)
            except OSError as fault:
                raise _unwritable(final, fault) from fault
        self._made = None

    def _unfinished(self, index: int) -> Path:
        assert self._staging is not None, "used outside its block"
        return self._staging / str(index)

    def _clean(self) -> None:
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)


def _first_absent(folder: Path) -> Path | None:
    """The topmost folder that making ``folder`` would make; None when it is there."""
    absent = None
    for candidate in (folder, *folder.parents):
        if candidate.exists():
            break
        absent = candidate
    return absent


def _unwritable(path: Path, fault: OSError, needed: int | None = None) -> DestinationUnwritable:
    need = f"; the pull needs {needed} bytes" if needed is not None else ""
    return DestinationUnwritable(
        f"{path} cannot be written: {fault.strerror or fault}{need}", details={"path": str(path)}
    )
