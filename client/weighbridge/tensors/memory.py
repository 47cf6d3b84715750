"""Memory for tensors, filled by chunks as they come: what of a chunk belongs to no tensor is left out."""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterable

import numpy
from numpy.typing import NDArray

from weighbridge.buffers import copy_overlap
from weighbridge.core.chunks import Buffer
from weighbridge.tensors.stored import Stored

_MAPPED_BYTES = 4 * 1024 * 1024
"""From this size on numpy asks the system for huge pages."""

Room = NDArray[numpy.uint8]


class TensorMemory:
    """Memory of each tensor's own; a ``Sink``. ``add`` comes before the first ``write``. Imports numpy."""

    def __init__(self) -> None:
        self._rooms: dict[int, tuple[list[int], list[memoryview]]] = {}

    def add(self, index: int, tensors: Iterable[Stored]) -> list[Room]:
        """Room for tensors of file number ``index``, none of which overlap; what is in it is undefined."""
        ordered = list(tensors)
        allocated = [_room(tensor.size) for tensor in ordered]
        rooms = {tensor.offset: room for tensor, room in zip(ordered, allocated, strict=True) if room.size}
        begins = sorted(rooms)
        self._rooms[index] = begins, [rooms[begin].data for begin in begins]
        return allocated

    def write(self, index: int, offset: int, raw: Buffer) -> None:
        """See ``Sink``: copies to where the bytes belong, each byte once."""
        begins, rooms = self._rooms[index]
        end = offset + len(raw)
        for number in range(max(bisect_right(begins, offset) - 1, 0), len(begins)):
            if begins[number] >= end:
                return
            copy_overlap(rooms[number], begins[number], raw, offset)

    def clear(self) -> None:
        """Nothing is written any more: the memory is the tensors' alone."""
        self._rooms.clear()


def _room(size: int) -> Room:
    """Memory of its own, undefined until it is written.

    Huge pages are not asked for. A virtual machine that gives free memory back to its host gets those from there one
    by one, and what is loaded into them takes five times as long; where they are at hand they gain little.
    """
    if size < _MAPPED_BYTES:
        return numpy.empty(size, numpy.uint8)
    try:
        mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:  # there is no memory, which numpy says, or there are too many maps
        return numpy.empty(size, numpy.uint8)
    return numpy.frombuffer(mapped, numpy.uint8)
