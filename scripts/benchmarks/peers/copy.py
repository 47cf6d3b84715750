"""``cp`` and fsync: what the file system itself takes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.files import sync
from benchmarks.tools import Tools


class Copy:
    """A folder as the store."""

    name = "cp + fsync"

    def __init__(self, tools: Tools, folder: Path) -> None:
        """See ``Peer``."""
        self._store = folder / "store"
        self._stored = self._store

    def installed(self) -> bool:
        """See ``Peer``."""
        return True

    def version(self) -> str:
        """See ``Peer``."""
        return subprocess.run(["cp", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]

    def __enter__(self) -> Self:
        self._store.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def push(self, file: Path) -> float:
        """See ``Peer``."""
        self._stored = self._store / file.name
        return _copy(file, self._store)

    def pull(self, dest: Path) -> float:
        """See ``Peer``."""
        return _copy(self._stored, dest)


def _copy(file: Path, folder: Path) -> float:
    began = time.perf_counter()
    # No reflink: it would move nothing, and measure nothing.
    subprocess.run(["cp", "--reflink=never", file, folder], check=True)
    sync(folder / file.name)
    sync(folder)
    return time.perf_counter() - began
