"""A file of a version as an open file of Python's: only what is read comes, and it is verified."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from difflib import get_close_matches

from weighbridge.cache import ChunkCache
from weighbridge.core.errors import FileNotInVersion
from weighbridge.core.manifest import FileManifest
from weighbridge.fetch import Manifest
from weighbridge.nearest import NearestChunks
from weighbridge.progress import Silent
from weighbridge.read_ahead import Chunks, ReadAhead
from weighbridge.selection import named
from weighbridge.wire.connection import Connection

_BUFFER_BYTES = 128 * 1024
"""What small reads and lines are served from."""

_NAMED = 5
_COMPARED_MOST = 10_000
"""Comparing is slow, and paths that are alike are near one another."""


class FileReader(io.BufferedReader):
    """One file of a version, open for reading in binary. Made by ``Client.open``.

    All that a file opened with ``"rb"`` can do: read, seek, iterate over lines, be a context manager, be wrapped in
    ``io.TextIOWrapper``, given to ``numpy.load``, ``torch.load``, ``pandas.read_csv``. Every read raises ``DataLoss``,
    which names the file and the chunk, where bytes are not what was pushed, and other ``WeighbridgeError`` where they
    cannot be had; ``ValueError`` once it is closed.

    Safe to use from several threads, as files are: each call is whole, and all share one position. Chunks that were
    read last, and those that come ahead, take at most 24 MiB.
    """

    def __init__(self, ref: str, file: FileManifest, chunks: Chunks) -> None:
        """Use ``Client.open``."""
        super().__init__(_RawFile(ref, file, chunks), _BUFFER_BYTES)
        self.ref = ref
        """The version, ``name:7``, whatever reference it was opened by."""
        self.path = file.path
        self.size = file.size_bytes
        """In bytes."""

    def __repr__(self) -> str:
        return f"<weighbridge.FileReader {self.name!r}, {self.size} bytes{', closed' if self.closed else ''}>"


class _RawFile(io.RawIOBase):
    """What is under the buffer. Used by one thread at a time: the buffer sees to that."""

    mode = "rb"

    def __init__(self, ref: str, file: FileManifest, chunks: Chunks) -> None:
        super().__init__()
        self.name = f"{ref}/{file.path}"
        self._size = file.size_bytes
        self._reading = ReadAhead(file, chunks)
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """It is."""
        self._check_open()
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """As of any file: beyond the end there is nothing to read."""
        self._check_open()
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError(f"whence is 0, 1 or 2, not {whence!r}")
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if position < 0:
            raise ValueError(f"{position} is before the file's first byte")
        self._position = position
        return position

    def readinto(self, buffer: object, /) -> int:
        """Fills a buffer, but for what lies beyond the end."""
        self._check_open()
        with memoryview(buffer) as given, given.cast("B") as room:  # type: ignore[arg-type] # whatever has memory
            count = max(min(len(room), self._size - self._position), 0)
            with room[:count] as wanted:
                self._reading.read_into(wanted, self._position)
        self._position += count
        return count

    def readall(self) -> bytes:
        """All from here to the end, in memory that is taken once."""
        self._check_open()
        count = max(self._size - self._position, 0)
        if not count:
            return b""
        memory = io.BytesIO()
        memory.seek(count - 1)
        memory.write(b"\0")
        with memory.getbuffer() as room:
            self.readinto(room)
        return memory.getvalue()

    def close(self) -> None:
        """Lets go of what is in memory."""
        if not self.closed:
            self._reading.close()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.name} is closed")


def open_file(connection: Connection, manifest: Manifest, path: str, cache: ChunkCache) -> FileReader:
    """Opens a file of the version; fetches nothing of it yet.

    Raises:
        FileNotInVersion: it has no such file; says which come close.
    """
    file = find_file(manifest, path)
    return FileReader(manifest.ref, file, chunks_of(connection, manifest, file, cache))


def find_file(manifest: Manifest, path: str) -> FileManifest:
    """The file of the version at this path. Raises FileNotInVersion."""
    for file in manifest.files:
        if file.path == path:
            return file
    raise FileNotInVersion(
        f"{manifest.ref} has no file {path!r}; {_what_it_has(manifest, path)}",
        details={"ref": manifest.ref, "path": path},
    )


def chunks_of(connection: Connection, manifest: Manifest, file: FileManifest, cache: ChunkCache) -> NearestChunks:
    """The chunks of one file of a version."""
    alone = replace(manifest, files=[file])
    return NearestChunks(connection, alone, cache, Silent())


def _what_it_has(manifest: Manifest, path: str) -> str:
    paths = [file.path for file in manifest.files[:_COMPARED_MOST]]
    if close := get_close_matches(path, paths, _NAMED):
        return f"close to it are {', '.join(map(repr, close))}"
    return f"it has {named(manifest.files)}" if paths else "it is empty"
