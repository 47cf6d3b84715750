"""What a folder holds already of a version that is pulled into it: whole files, and chunks in any file of it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Container, Sequence
from pathlib import Path, PurePosixPath

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.digest import Digest, chunk_digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest
from weighbridge.places import Place, Places
from weighbridge.receipt import load_receipt

_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_in_place(folder: Path, file: FileManifest, given_up: threading.Event) -> bool:
    """Whether a file of a folder is this one, byte for byte; it is read as far as it agrees, and until given up."""
    fd = None if _is_beyond_a_link(folder, file.path) else _open(folder / file.path)
    if fd is None:
        return False
    try:
        if os.fstat(fd).st_size != file.size_bytes:
            return False
        room = memoryview(bytearray(CHUNK_BYTES))
        offset = 0
        for chunk in file.chunks:
            raw = room[: chunk.raw_bytes]
            if given_up.is_set():
                return False
            if os.preadv(fd, [raw], offset) != len(raw) or chunk_digest(raw) != chunk.digest:
                return False
            offset += len(raw)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


class NearbyChunks:
    """Chunks that may be in files of a folder: where its receipt says, or where the new version has them.

    Used by one thread at a time.
    """

    def __init__(self, folder: Path, files: Sequence[FileManifest], wanted: Container[Digest]) -> None:
        """``files``: those of the version. ``wanted``: the chunks that are looked for."""
        self._folder = folder
        self._files: list[str] = []
        self._places = Places()
        self._path = ""
        self._fd: int | None = None
        receipt = load_receipt(folder)
        for file in (*(receipt.files if receipt else ()), *files):
            if not (folder / file.path).is_file():
                continue
            number, offset = len(self._files), 0
            self._files.append(file.path)
            for chunk in file.chunks:
                if chunk.digest in wanted and chunk.digest not in self._places:
                    self._places.add(chunk.digest, Place(number, offset, chunk.raw_bytes))
                offset += chunk.raw_bytes

    def read(self, digest: Digest) -> EncodedChunk | None:
        """A chunk, unverified; None when it cannot be here."""
        if digest not in self._places:
            return None
        number, offset, size = self._places.of(digest)[0]
        path = self._files[number]
        if path != self._path:
            self.close()
            self._path, self._fd = path, _open(self._folder / path)
        try:
            raw = os.pread(self._fd, size, offset) if self._fd is not None else b""
        except OSError:
            return None
        return EncodedChunk(digest, size, Codec.RAW, raw) if len(raw) == size else None

    def close(self) -> None:
        """Lets go of the file that was read last."""
        if self._fd is not None:
            os.close(self._fd)
        self._path, self._fd = "", None


def _is_beyond_a_link(folder: Path, path: str) -> bool:
    """Whether a link leads out of the folder on the way to a file of it: then the folder does not have the file."""
    return any((folder / parent).is_symlink() for parent in PurePosixPath(path).parents if parent.name)


def _open(path: Path) -> int | None:
    """A descriptor of a regular file; None where there is none that can be read."""
    try:
        fd = os.open(path, _OPEN_FLAGS)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None
