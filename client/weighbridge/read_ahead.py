"""One file of a version, read piece by piece: chunks that were read last stay, those that come next are under way."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from itertools import accumulate
from typing import Protocol

from weighbridge.buffers import copy_overlap
from weighbridge.core.chunks import Buffer
from weighbridge.core.manifest import FileManifest
from weighbridge.filling import Sink
from weighbridge.places import Place, Places

_AHEAD = 8
"""Most chunks that are brought before they are asked for. Doubled from one on, as long as one follows the other."""

_KEPT = _AHEAD + 4
"""Chunks in memory, those that came ahead included: 24 MiB."""


class Chunks(Protocol):
    """Where the chunks of the file come from; see ``NearestChunks``."""

    def bring(self, places: Places, sink: Sink, *, patient: bool = True) -> None:
        """Brings chunks of the file, which is number 0 in ``places``, verified."""
        ...


class ReadAhead:
    """The bytes of one file. Used by one thread at a time; another one, which is its own, brings what comes next."""

    def __init__(self, file: FileManifest, chunks: Chunks) -> None:
        self._refs = file.chunks
        self._starts = array("Q", accumulate((chunk.raw_bytes for chunk in file.chunks), initial=0))
        self._chunks = chunks
        self._last = -1
        """The chunk that was read last."""
        self._ahead = 0
        self._kept = OrderedDict[int, bytes]()
        """By number, those used longest ago first."""
        self._coming = set[int]()
        self._closed = False
        self._changed = threading.Condition()

    def read_into(self, room: memoryview, offset: int) -> None:
        """Fills ``room`` with the bytes from ``offset``, all of which the file has.

        Raises:
            DataLoss: a chunk is not what was pushed; names the file and the chunk.
            WeighbridgeError: it cannot be had.
        """
        if not room:
            return
        first, last = self._number(offset), self._number(offset + len(room) - 1)
        if not self._last <= first <= self._last + 1:
            self._ahead = 0
        elif last > self._last and self._last >= 0:
            self._ahead = min(max(2 * self._ahead, 1), _AHEAD)
        self._last = last
        missing = [number for number in range(first, last + 1) if not self._copy_kept(number, room, offset)]
        if missing:
            self._chunks.bring(self._places(missing), _Landing(self, room, offset, keeps_all=len(missing) <= _AHEAD))
        self._read_ahead(last)

    def close(self) -> None:
        """Lets go of everything; what is under way is not waited for."""
        with self._changed:
            self._closed = True
            self._kept.clear()

    def keep(self, offset: int, raw: Buffer) -> None:
        """A verified chunk that may be read later."""
        with self._changed:
            number = self._number(offset)
            if not self._closed:
                self._make_room()
                self._kept[number] = bytes(raw)
            self._coming.discard(number)
            self._changed.notify_all()

    def _make_room(self) -> None:
        """What was used longest ago goes first; what came ahead stays, although it was not used at all."""
        if len(self._kept) >= _KEPT:
            ahead = range(self._last + 1, self._last + 1 + _AHEAD)
            self._kept.pop(next(number for number in self._kept if number not in ahead))

    def _number(self, offset: int) -> int:
        """The chunk that has the byte at ``offset``."""
        return bisect_right(self._starts, offset) - 1

    def _places(self, numbers: Iterable[int]) -> Places:
        places = Places()
        for number in numbers:
            ref = self._refs[number]
            places.add(ref.digest, Place(0, self._starts[number], ref.raw_bytes))
        return places

    def _copy_kept(self, number: int, room: memoryview, offset: int) -> bool:
        """Copies what ``room`` needs of a chunk that is here, or under way and then here; whether it was."""
        with self._changed:
            self._changed.wait_for(lambda: number not in self._coming)
            raw = self._kept.get(number)
            if raw is None:
                return False
            self._kept.move_to_end(number)
        copy_overlap(room, offset, raw, self._starts[number])
        return True

    def _read_ahead(self, last: int) -> None:
        """Has the next chunks brought, once half of what shall be ahead was used."""
        with self._changed:
            if self._coming:
                return
            following = range(last + 1, min(last + 1 + self._ahead, len(self._refs)))
            lacking = [number for number in following if number not in self._kept]
            if 2 * len(lacking) < len(following) or not lacking:
                return
            self._coming.update(lacking)
        bring = threading.Thread(target=self._bring_ahead, args=(lacking,), name="weighbridge-ahead", daemon=True)
        try:
            bring.start()
        except RuntimeError:  # there are no more threads: what is needed next is brought when it is
            self._ended(lacking)

    def _bring_ahead(self, numbers: list[int]) -> None:
        try:
            self._chunks.bring(self._places(numbers), _Kept(self), patient=False)
        except BaseException:  # noqa: BLE001 - it fails again where it is needed, and is raised there
            self._ahead = 0
        self._ended(numbers)

    def _ended(self, numbers: list[int]) -> None:
        """Of these chunks no more come; others may be under way already."""
        with self._changed:
            self._coming.difference_update(numbers)
            self._changed.notify_all()


class _Kept:
    """A ``Sink`` that keeps chunks for later."""

    def __init__(self, reading: ReadAhead) -> None:
        self._reading = reading

    def write(self, index: int, offset: int, raw: Buffer) -> None:
        """See ``Sink``."""
        self._reading.keep(offset, raw)


class _Landing:
    """A ``Sink`` that puts chunks where the reader wants them; of what the reader did not take whole, all is kept."""

    def __init__(self, reading: ReadAhead, room: memoryview, begin: int, *, keeps_all: bool) -> None:
        self._reading = reading
        self._room = room
        self._begin = begin
        self._keeps_all = keeps_all

    def write(self, index: int, offset: int, raw: Buffer) -> None:
        """See ``Sink``."""
        taken = copy_overlap(self._room, self._begin, raw, offset)
        if self._keeps_all or taken < len(raw):
            self._reading.keep(offset, raw)
