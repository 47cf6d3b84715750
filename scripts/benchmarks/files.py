"""Reading and copying whole files, 2 MiB at a time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from blake3 import blake3

READ_BYTES = 2 * 1024 * 1024


def pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(READ_BYTES):
            yield piece


class OpenFile:
    """A file as a chunker sees it; a context manager."""

    def __init__(self, path: Path) -> None:
        self.size_bytes = path.stat().st_size
        self._descriptor = os.open(path, os.O_RDONLY)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        return os.pread(self._descriptor, size, offset)

    def read_into(self, room: memoryview, offset: int) -> None:
        """Fills ``room`` with the bytes from ``offset``."""
        os.preadv(self._descriptor, [room], offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def content_digest(path: Path) -> str:
    """BLAKE3 of a file, in hex."""
    hasher = blake3()
    for piece in pieces(path):
        hasher.update(piece)
    return hasher.hexdigest()


def hash_seconds(paths: list[Path]) -> float:
    """How long one thread takes to hash files. For ``apart``, so that no other thread has a part in it."""
    began = time.perf_counter()
    for path in paths:
        content_digest(path)
    return time.perf_counter() - began


def sync(path: Path) -> None:
    """Makes a file or a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def bring(file: Path, folder: Path) -> Path:
    """Copies a file into a folder, durably, so that nothing of it is still to be written when a clock starts."""
    copy = Path(shutil.copy(file, folder))
    sync(copy)
    return copy
