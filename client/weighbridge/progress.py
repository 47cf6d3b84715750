"""How a transfer tells how far it has come."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from the threads of a transfer, often: be quick, and do not raise."""

    def begin(self, files_total: int, bytes_total: int) -> None:
        """More files are to be moved: add these to the totals."""
        ...

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """So many bytes of the files are done; ``moved_bytes`` is what that took on the wire (0: known)."""
        ...


class Silent:
    """Tells nobody."""

    def begin(self, files_total: int, bytes_total: int) -> None:
        """Nothing."""

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Nothing."""
