"""What every group of calls stands on: the connection, and lists that come in pages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from weighbridge.core.errors import InternalError
from weighbridge.wire.connection import Connection

PAGE_SIZE = 500

PathLike = str | os.PathLike[str]
Item = TypeVar("Item")


class Connected:
    """Has the connection to one server."""

    _connection: Connection

    @property
    def server(self) -> str:
        """``HOST:PORT``."""
        return self._connection.address

    def _pages(self, what: str, page: Callable[[str], tuple[Sequence[Item], str]]) -> Iterator[Item]:
        """The items of all pages; a page that leads back, or nowhere, ends them with an error."""
        seen: set[str] = set()
        token = ""
        while True:
            items, token = page(token)
            yield from items
            if not token:
                return
            if token in seen or not items:
                raise InternalError(f"{self.server} lists its {what} without end: a page leads to one given before")
            seen.add(token)
