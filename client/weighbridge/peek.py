"""Files of a version, read where it matters: only the chunks that hold what is asked for come, verified."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate

from weighbridge.core.chunks import Buffer, Codec, EncodedChunk
from weighbridge.core.digest import Digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest
from weighbridge.filling import Sink
from weighbridge.places import Place, Places

KEPT_BYTES = 8 * CHUNK_BYTES
"""Chunks that were read stay while they take no more: a header is read in several steps, and the chunk that holds it
may hold tensors too."""

Wanted = tuple[Digest, Place]
"""A chunk, and a place of it."""

Bring = Callable[[Places, Sink], None]
"""Brings chunks from wherever they are, verified, to a sink."""


class PeekedChunks:
    """The chunks that were read last. A ``Sink``, and a ``LocalChunks`` for what follows.

    Used by one thread at a time; ``write`` by several.
    """

    def __init__(self, bring: Bring) -> None:
        self._bring = bring
        self._raw: dict[Digest, bytes] = {}
        self._asked: dict[tuple[int, int], Digest] = {}

    def have(self, wanted: Iterable[Wanted]) -> None:
        """Brings those chunks that are not here, all at once. Raises what bringing them raises."""
        needed = dict[Digest, None]()
        places = Places()
        for digest, place in wanted:
            needed[digest] = None
            at = place.file, place.offset
            if digest not in self._raw and at not in self._asked:
                self._asked[at] = digest
                places.add(digest, place)
        self._make_room(needed)
        if self._asked:
            self._bring(places, self)
            self._asked.clear()

    def _make_room(self, needed: dict[Digest, None]) -> None:
        """What came first goes first; what is needed now stays."""
        kept_bytes = sum(map(len, self._raw.values()))
        for digest in [digest for digest in self._raw if digest not in needed]:
            if kept_bytes <= KEPT_BYTES:
                return
            kept_bytes -= len(self._raw.pop(digest))

    def raw(self, digest: Digest) -> bytes:
        """The bytes of a chunk that ``have`` was last asked for."""
        return self._raw[digest]

    def clear(self) -> None:
        """Lets go of everything."""
        self._raw.clear()

    def write(self, index: int, offset: int, raw: Buffer) -> None:
        """See ``Sink``."""
        self._raw[self._asked[index, offset]] = bytes(raw)

    def read(self, digest: Digest) -> EncodedChunk | None:
        """See ``LocalChunks``."""
        raw = self._raw.get(digest)
        return EncodedChunk(digest, len(raw), Codec.RAW, raw) if raw is not None else None


class VersionFile:
    """One file of a version, as a ``RandomAccess``."""

    def __init__(self, index: int, file: FileManifest, peeked: PeekedChunks) -> None:
        """``index``: the number that stands for the file in places."""
        self.index = index
        self.path = file.path
        self.size_bytes = file.size_bytes
        self._chunks = file.chunks
        self._starts = array("Q", accumulate((chunk.raw_bytes for chunk in file.chunks), initial=0))
        self._peeked = peeked

    def chunks(self, begin: int, end: int) -> list[Wanted]:
        """The chunks that hold any byte of a stretch of the file, in order."""
        end = min(end, self.size_bytes)
        if not 0 <= begin < end:
            return []
        first, last = bisect_right(self._starts, begin) - 1, bisect_right(self._starts, end - 1) - 1
        return [
            (chunk.digest, Place(self.index, self._starts[number], chunk.raw_bytes))
            for number, chunk in enumerate(self._chunks[first : last + 1], start=first)
        ]

    def expect(self, stretches: Iterable[tuple[int, int]]) -> None:
        """These stretches, from ``begin`` to ``end``, are read next: what holds them comes in one go."""
        self._peeked.have(wanted for begin, end in stretches for wanted in self.chunks(begin, end))

    def read_at(self, offset: int, size: int) -> bytes:
        """See ``RandomAccess``.

        Raises:
            DataLoss: a chunk is not what was pushed; names the file and the chunk.
            WeighbridgeError: it cannot be had.
        """
        held = self.chunks(offset, offset + size)
        self._peeked.have(held)
        return b"".join(
            self._peeked.raw(digest)[max(offset - place.offset, 0) : offset + size - place.offset]
            for digest, place in held
        )
