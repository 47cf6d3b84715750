"""What the domain needs of storage for schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from weighbridge.core.values import Schema


class SchemaRows(Protocol):
    """Revisions of schemas, as they were set. The one that the server ships is not among them."""

    def first(self, prefixes: Sequence[str]) -> Schema | None:
        """The present revision of the first of these prefixes that has one."""
        ...

    def get(self, prefix: str, revision: int) -> Schema | None:
        """A revision of exactly this prefix."""
        ...

    def present(self) -> list[Schema]:
        """The present revision of every prefix, in order of prefix, without their texts."""
        ...

    def add(self, prefix: str, json_schema: str) -> Schema:
        """The next revision of a prefix, by the transaction's actor. The caller holds the lock."""
        ...

    def lock(self, *, shared: bool) -> None:
        """Who sets a schema locks them all, and who commits a version by them shares the lock, until the end.

        So a version passed what governed it when its commit became an event, and not what did a moment before. Taken
        after the model's row and before the journal's head.
        """
        ...
