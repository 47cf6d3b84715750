"""The one seam for bytes: encoded chunks by digest.

Packs on a disk, packs in an object store, a cache and a server at the other end of a channel are all
this; ``tests/test_chunk_store_conformance.py`` runs on each of them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.digest import Digest


class Held(Enum):
    """How safe a chunk is that was put."""

    VERIFIED = "verified"
    """Decoded, hashed and found to be what it says. It may be lost with the process."""
    DURABLE = "durable"
    """It survives ``kill -9`` and power loss."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Chunks that reached a state together."""

    held: Held
    digests: Sequence[Digest]


class ChunkStore(Protocol):
    """A place that keeps encoded chunks. Safe to use from several threads."""

    def missing(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those that would have to be put, each once, in the order asked."""
        ...

    def put(self, chunks: Iterable[EncodedChunk]) -> Iterator[Ack]:
        """Takes chunks in while the acks are iterated.

        ``chunks`` is consumed in another thread, at the pace of the store, which needs a chunk's payload until it
        asks for the next one and no longer. Each chunk is acknowledged VERIFIED, then DURABLE; when the iterator
        ends, every chunk is durable. What was not acknowledged as durable when an error ends it must be put again.

        Raises:
            ChunkMismatch: a chunk is not what it says; nothing of it is kept.
            StorageFailed: the store cannot write.
        """
        ...

    def get(self, digests: Sequence[Digest]) -> Generator[EncodedChunk, None, None]:
        """The chunks in the order asked, as they are stored. The reader verifies them: ``open_chunk``.

        Raises:
            ChunkNotFound: a digest is not here.
            DataLoss: a stored record is damaged.
        """
        ...
