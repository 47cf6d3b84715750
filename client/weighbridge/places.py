"""Where the chunks of a pull go."""

from __future__ import annotations

from typing import NamedTuple

from weighbridge.core.digest import Digest

_LENGTH_BITS = 22
_OFFSET_BITS = 42
"""Both checked with the manifest: a chunk has at most 2 MiB, a file at most a million of them."""


class Place(NamedTuple):
    """Where a chunk goes: the number of a file, the offset in it, and the length that its list states."""

    file: int
    offset: int
    raw_bytes: int


class Places:
    """The places of each chunk that is lacking.

    Kept as one number a place: a version may have a million chunks, and as many lists of tuples would take
    more memory than all else that a pull keeps.
    """

    def __init__(self) -> None:
        self._first: dict[Digest, int] = {}
        self._others: dict[Digest, list[int]] = {}

    def add(self, digest: Digest, place: Place) -> None:
        """One more place of a chunk."""
        packed = (place.file << _OFFSET_BITS | place.offset) << _LENGTH_BITS | place.raw_bytes
        if self._first.setdefault(digest, packed) != packed:
            self._others.setdefault(digest, []).append(packed)

    def of(self, digest: Digest) -> list[Place]:
        """Every place of a chunk."""
        return [
            Place(
                packed >> _LENGTH_BITS + _OFFSET_BITS,
                packed >> _LENGTH_BITS & (1 << _OFFSET_BITS) - 1,
                packed & (1 << _LENGTH_BITS) - 1,
            )
            for packed in (self._first[digest], *self._others.get(digest, ()))
        ]

    def __contains__(self, digest: object) -> bool:
        """Whether a chunk has places left."""
        return digest in self._first

    def remove(self, digest: Digest) -> None:
        """The chunk is where it belongs."""
        del self._first[digest]
        self._others.pop(digest, None)

    def digests(self) -> list[Digest]:
        """The chunks that have places left, each once, in the order they were added."""
        return list(self._first)
