"""How a transfer tells how far it has come."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Progress(Protocol):
    """Called from the threads of a transfer, often: be quick, and do not raise."""

    def begin(self, files_total: int, bytes_total: int) -> None:
        """More files are to be moved: add these to the totals."""
        ...

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """A chunk is done: so many bytes of the files; ``moved_bytes`` is what that took on the wire (0: known)."""
        ...


@runtime_checkable
class FileProgress(Progress, Protocol):
    """A ``Progress`` that wants to know which file moves; what has no such method is not told."""

    def file(self, path: str) -> None:
        """What comes next belongs to this file; the same file may be named again."""
        ...


class Silent:
    """Tells nobody."""

    def begin(self, files_total: int, bytes_total: int) -> None:
        """Nothing."""

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Nothing."""


def tell_file(progress: Progress, path: str) -> None:
    """Names the file that moves next, to a progress that wants to know."""
    if isinstance(progress, FileProgress):
        progress.file(path)
