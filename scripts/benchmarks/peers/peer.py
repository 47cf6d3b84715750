"""The seam behind which everything that weights could be kept in instead is measured."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Peer(Protocol):
    """Made with ``Tools`` and a new folder, which is all that it writes in; a context manager for its server.

    Where it is used through Python, its import is not measured, and neither is the start of its server.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def installed(self) -> bool:
        """Whether everything that it needs is here. Asked outside of the block; starts nothing."""
        ...

    def version(self) -> str:
        """Which release is here."""
        ...

    def __enter__(self) -> Self:
        """Starts its server, where it has one.

        Raises:
            PeerFailed.
        """
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends its server."""
        ...

    def push(self, file: Path) -> float:
        """Stores a file; the seconds that took. Raises: PeerFailed."""
        ...

    def pull(self, dest: Path) -> float:
        """Brings the stored file into ``dest``, which is an empty folder, under its name; the seconds that took.

        Nothing of an earlier pull may be of use to it. Raises: PeerFailed.
        """
        ...


class PeerFailed(Exception):
    """It did not do what it was asked to; the message has its own words."""
