"""What tests of pulls look at: what a folder holds, what the cache holds, and how far a transfer says that it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

UNFINISHED = "unfinished-"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def folder_of(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Makes a folder, or changes it, so that it holds these files."""
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder


def noise_files(count: int, size_bytes: int) -> dict[str, bytes]:
    """Files of one chunk each, all different, that do not compress."""
    return {f"{number:03}.bin": os.urandom(size_bytes) for number in range(count)}


def cached(cache_dir: Path) -> list[Path]:
    """The chunks in a cache, those that are not finished too."""
    return sorted((cache_dir / "chunks").glob("*/*"))


def cached_bytes(cache_dir: Path) -> int:
    """How much they take together."""
    return sum(path.lstat().st_size for path in cached(cache_dir))


class Sums:
    """A progress that adds up what it is told. Safe to use from several threads."""

    def __init__(self) -> None:
        self.files_total = self.bytes_total = self.raw_bytes = self.moved_bytes = 0
        self._lock = threading.Lock()

    def begin(self, files_total: int, bytes_total: int) -> None:
        """Adds to the totals."""
        with self._lock:
            self.files_total += files_total
            self.bytes_total += bytes_total

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Adds to what is done."""
        with self._lock:
            self.raw_bytes += raw_bytes
            self.moved_bytes += moved_bytes
