"""Chunks that earlier pulls brought to this machine, kept for later ones: as they came, one file each.

    <cache>/chunks/<first two hex digits of the digest>/<the others>
    u8 codec | 3 zero bytes | u32 raw length | payload

Nothing in it is trusted: whoever reads a chunk verifies it. Any number of processes use it at once. A chunk appears by
a rename and goes by an unlink, so each sees it whole or not at all. Those read longest ago go first when there are too
many. A cache is never a reason to fail: what it cannot write it does not keep, and what it cannot read it lacks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import struct
import tempfile
import threading
from pathlib import Path

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.digest import Digest
from weighbridge.core.limits import CHUNK_BYTES

_HEAD = struct.Struct("<B3xI")
_LARGEST_BYTES = _HEAD.size + CHUNK_BYTES
_UNFINISHED = "unfinished-"
_TRIM_SHARE = 10
"""A tenth of the limit is added between two looks at how much there is, and as much is made room for."""

_FREE_SHARE = 20
"""At least this fraction of the file system is left free."""


class ChunkCache:
    """Encoded chunks on this machine. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Makes nothing yet.

        Args:
            folder: where the chunks are.
            limit_bytes: how much they may take together; 0: nothing is kept and nothing is found.
        """
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._kept_bytes = limit_bytes - limit_bytes // _TRIM_SHARE
        """What a look at how much there is leaves."""
        self._lock = threading.Lock()
        self._used_bytes = 0
        """Read and added here: what a pull uses itself, it does not push out."""
        self._to_trim_bytes = 0
        """Added since the last look at how much there is; the first add looks."""
        self._full = limit_bytes <= 0

    def read(self, digest: Digest) -> EncodedChunk | None:
        """A chunk, unverified; None when it is not here."""
        if self._limit_bytes <= 0:
            return None
        try:
            with open(self._place(digest), "rb", buffering=0, opener=_open_entry) as entry:
                stored = entry.read(min(os.fstat(entry.fileno()).st_size, _LARGEST_BYTES))
                with contextlib.suppress(OSError):  # a cache that cannot be written can be read
                    os.utime(entry.fileno())
            codec, raw_bytes = _HEAD.unpack_from(stored)
            chunk = EncodedChunk(digest, raw_bytes, Codec(codec), memoryview(stored)[_HEAD.size :])
        except (OSError, ValueError, struct.error):
            return None
        with self._lock:
            self._used_bytes += len(stored)
        return chunk

    def add(self, chunk: EncodedChunk) -> None:
        """Keeps a chunk that the caller has verified, if there is room for it."""
        if self._full:
            return
        size_bytes = _HEAD.size + len(chunk.payload)
        try:
            self._make_room(size_bytes)
            if not self._full:
                self._write(chunk)
        except OSError:
            self._full = True

    def forget(self, digest: Digest) -> None:
        """Drops a chunk that was found damaged."""
        with contextlib.suppress(OSError):
            self._place(digest).unlink()

    def trim(self) -> None:
        """Removes what was read longest ago, until there is room for a tenth of the limit."""
        found: list[tuple[float, int, Path]] = []
        for shard in _entries(self._folder):
            for entry in _entries(Path(shard.path)):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime, status.st_size, Path(entry.path)))
        total_bytes = sum(size_bytes for _, size_bytes, _ in found)
        for _, size_bytes, path in sorted(found):
            if total_bytes <= self._kept_bytes:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            total_bytes -= size_bytes

    def _make_room(self, size_bytes: int) -> None:
        with self._lock:
            self._used_bytes += size_bytes
            self._to_trim_bytes -= size_bytes
            if self._used_bytes > self._kept_bytes:  # more would push out what this very pull uses
                self._full = True
            elif self._to_trim_bytes < 0:
                self._to_trim_bytes = self._limit_bytes // _TRIM_SHARE
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.trim()
                disk = shutil.disk_usage(self._folder)
                self._full = disk.free - self._to_trim_bytes < disk.total // _FREE_SHARE

    def _write(self, chunk: EncodedChunk) -> None:
        place = self._place(chunk.digest)
        try:
            place.parent.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError:  # something that is no folder
            place.parent.unlink()
            place.parent.mkdir(mode=0o700)
        fd, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=place.parent)
        try:
            parts = (_HEAD.pack(chunk.codec, chunk.raw_bytes), chunk.payload)
            if os.writev(fd, parts) != sum(map(len, parts)):
                raise OSError(errno.ENOSPC, "the disk is full")
            try:
                os.rename(name, place)  # noqa: PTH104 - the name is a str
            except IsADirectoryError:  # nothing that was put there by a cache
                shutil.rmtree(place)
                os.rename(name, place)  # noqa: PTH104
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def _place(self, digest: Digest) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name[2:]


def _open_entry(path: str, flags: int) -> int:
    """A descriptor of a regular file; OSError for whatever else may be there, which would be waited for."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no regular file")
    return fd


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return list(entries)
    return []
