"""What aliases need of storage."""

from __future__ import annotations

from typing import Protocol

from weighbridge.core.values import Event


class AliasRows(Protocol):
    """Aliases, ``staging`` and ``production`` among them, and where each points.

    Where one pointed before is in the journal only: the events of ``name@alias``.
    """

    def names(self, model: str) -> list[str]:
        """Those of a model, in order."""
        ...

    def move(self, model: str, alias: str) -> Event | None:
        """The event that made an alias point where it does; None where there is no such alias."""
        ...

    def moves(self, model: str) -> list[Event]:
        """As ``move``, of all aliases of a model in order of name."""
        ...

    def first_move(self, model: str, alias: str, number: int) -> Event | None:
        """The first event with which an alias came to point at a version; None: it never did."""
        ...

    def point(self, model: str, alias: str, number: int) -> None:
        """Points an alias at a version that is there, or makes it. The caller locked the model, here and below."""
        ...

    def remove(self, model: str, alias: str) -> None: ...
