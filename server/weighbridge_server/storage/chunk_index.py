"""What the pack store needs of the catalogue: which chunks there are, where, and for whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from weighbridge.core.digest import Digest
from weighbridge_server.storage.pack_format import PackEntry


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """Where a chunk is."""

    pack_id: UUID
    entry: PackEntry


class ChunkIndex(Protocol):
    """Rows about chunks. Each call is one transaction."""

    def hold_present(
        self, upload_id: str, digests: Sequence[Digest], readable: Collection[str] | None = None
    ) -> list[Digest]:
        """Holds for an upload those chunks that its caller may know of; returns the others, each once.

        These are those that an upload of the same actor holds, and those of versions whose model's name is below one of
        the prefixes ``readable`` (None: of all versions).
        """
        ...

    def hold(self, upload_id: str, digests: Sequence[Digest]) -> None:
        """Holds for an upload chunks that it has proved to have, and that are in the index."""
        ...

    def new_ones(self, digests: Sequence[Digest]) -> set[Digest]:
        """Those that are in no sealed pack, or damaged there."""
        ...

    def add_pack(self, pack_id: UUID, size_bytes: int, entries: Sequence[PackEntry]) -> None:
        """Records a sealed pack. A chunk that is known and undamaged keeps its old place."""
        ...

    def locate(self, digests: Sequence[Digest]) -> Mapping[Digest, StoredChunk]:
        """Where these chunks are; those that are nowhere are absent."""
        ...

    def mark_damaged(self, digest: Digest, pack_id: UUID) -> None:
        """Has a chunk count as missing, if that pack is still where it is; the next push heals it."""
        ...
