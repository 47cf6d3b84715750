"""Folders to work in, and what kind of file system they are on."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apart import apart

_SIZES_TOUCHED = 3
"""A pull writes the model, its chunks into a cache, and buffers."""

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Place:
    """A work folder of our own."""

    folder: Path
    name: str
    """``tmpfs`` or ``disk``, with the file system's own name."""
    is_tmpfs: bool

    def settle(self, size_bytes: int) -> None:
        """Has nothing on its way to the disk, and memory at hand for what a model of this size will take.

        A virtual machine gets a page from its host when it first touches it, at a fifth of the speed of memory, and
        may have to give it back when it is idle: whoever came first would pay for all.
        """
        if not self.is_tmpfs:
            os.sync()
        apart(touch, _SIZES_TOUCHED * size_bytes)


def touch(size_bytes: int) -> None:
    """Writes to so much memory and lets it go. For ``apart``."""
    piece = bytes(_PIECE_BYTES)
    with mmap.mmap(-1, size_bytes) as memory:
        while memory.tell() <= size_bytes - _PIECE_BYTES:
            memory.write(piece)


def tmpfs_first(folders: Sequence[Path]) -> Path:
    """The first folder that is on a tmpfs, where no disk decides; otherwise the first."""
    return next((folder for folder in folders if file_system(folder) == "tmpfs"), folders[0])


@contextmanager
def work_in(parent: Path) -> Iterator[Place]:
    """A new folder in ``parent``, removed at the end with all that is in it."""
    kind = file_system(parent)
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-bench-", dir=parent))
    folder.chmod(0o711)  # as root the embedded PostgreSQL runs as somebody else, who must pass through
    try:
        yield Place(folder, "tmpfs" if kind == "tmpfs" else f"disk ({kind})", kind == "tmpfs")
    finally:
        shutil.rmtree(folder)


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on: of the longest mount point that it is under."""
    path = folder.resolve()
    found, longest = "", -1
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        mount = mount.replace(r"\040", " ")
        if path.is_relative_to(mount) and len(mount) >= longest:  # a later mount hides an earlier one
            found, longest = kind, len(mount)
    return found
