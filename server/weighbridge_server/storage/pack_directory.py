"""Packs as files in a directory: ``<last two hex digits of the id>/<id>.pack``.

Order of writes when a pack is sealed, and what a crash leaves after each step:

1. records and footer into ``tmp/<id>.pack``      an unfinished file, deleted at the next start
2. fsync of the file                              the same
3. rename to its final name                       a whole pack that no row names: garbage, harmless
4. fsync of the directory                         the same, now certain to be found
5. rows in the catalogue, in one transaction      the pack's chunks exist
6. durable ack to the client

So a row never names bytes that a power cut can take away. An fsync that failed is never tried again,
since the kernel may have dropped the dirty pages: the pack is abandoned and its chunks are sent again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from weighbridge.core.chunks import Buffer, EncodedChunk
from weighbridge_server.durable_files import sync_directory
from weighbridge_server.storage.pack_format import (
    PackEntry,
    pack_footer,
    pack_header,
    record_header,
)

_SHARDS = 256


class PackDirectory:
    """The pack files of one server. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Makes the folders when absent and deletes what earlier processes left unfinished.

        The caller holds the lock of the data directory: nobody else writes here.
        """
        self._path = path
        self._tmp = path / "tmp"
        self._tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
        for shard in range(_SHARDS):
            (path / f"{shard:02x}").mkdir(mode=0o700, exist_ok=True)
        sync_directory(path)
        sync_directory(path.parent)
        for unfinished in self._tmp.iterdir():
            unfinished.unlink()

    @property
    def mounted(self) -> bool:
        """Whether the folder is what it was at the start, and not an empty mount point."""
        return self._tmp.is_dir()

    def create(self) -> PackFile:
        """A new, empty pack under a temporary name."""
        pack_id = uuid7()
        return PackFile(pack_id, self._tmp / f"{pack_id}.pack", self.path_of(pack_id))

    def path_of(self, pack_id: UUID) -> Path:
        """Where a sealed pack is."""
        return self._path / pack_id.hex[-2:] / f"{pack_id}.pack"

    def read(self, pack_id: UUID, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes of a sealed pack; fewer only where it ends.

        Raises:
            OSError: the pack is absent or cannot be read.
        """
        fd = os.open(self.path_of(pack_id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)

    def __iter__(self) -> Iterator[UUID]:
        """The ids of all sealed packs."""
        for file in self._path.glob("[0-9a-f][0-9a-f]/*.pack"):
            yield UUID(file.stem)

    def delete(self, pack_id: UUID) -> None:
        """Deletes a sealed pack; one that is absent already is no error."""
        self.path_of(pack_id).unlink(missing_ok=True)


class PackFile:
    """A pack that is being written. Used by one thread at a time."""

    def __init__(self, pack_id: UUID, unfinished: Path, final: Path) -> None:
        self.id = pack_id
        self.entries: list[PackEntry] = []
        self._unfinished = unfinished
        self._final = final
        self._fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.size_bytes = 0
        self.sealed = False
        try:
            self._write(pack_header(pack_id))
        except OSError:
            self.discard()
            raise

    def append(self, chunk: EncodedChunk) -> None:
        """Writes one record.

        Raises:
            OSError: it cannot be written; the pack must be discarded.
        """
        entry = PackEntry(chunk.digest, self.size_bytes, chunk.raw_bytes, len(chunk.payload), chunk.codec)
        self._write(record_header(chunk), chunk.payload)
        self.entries.append(entry)

    def seal(self) -> None:
        """Makes the pack durable under its final name: steps 1 to 4 above.

        Raises:
            OSError: it is not known to be durable; the pack must be discarded.
        """
        self._write(pack_footer(self.entries, self.size_bytes))
        os.fsync(self._fd)
        self._close()
        self._unfinished.rename(self._final)
        sync_directory(self._final.parent)
        self.sealed = True

    def discard(self) -> None:
        """Gives the pack up, sealed or not. No row may name it."""
        self._close()
        self._unfinished.unlink(missing_ok=True)
        self._final.unlink(missing_ok=True)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1  # first: the number may be another file's as soon as it is closed
        if fd >= 0:
            os.close(fd)

    def _write(self, *parts: Buffer) -> None:
        wanted = sum(len(part) for part in parts)
        written = os.writev(self._fd, parts)
        if written < wanted:  # a full disk or a signal: go on with the rest, which says which it was
            rest = memoryview(b"".join(parts))[written:]
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        self.size_bytes += wanted
