"""Memory for tensors, filled by chunks as they come: what of a chunk belongs to no tensor is left out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy
from numpy.typing import NDArray

from weighbridge.core.chunks import Buffer
from weighbridge.tensors.stored import Stored


class TensorMemory:
    """Memory of each tensor's own; a ``Sink``. ``add`` comes before the first ``write``. Imports numpy."""

    def __init__(self) -> None:
        self._rooms: dict[int, tuple[list[int], list[memoryview]]] = {}

    def add(self, index: int, tensors: Iterable[Stored]) -> list[NDArray[numpy.uint8]]:
        """Room for tensors of file number ``index``, none of which overlap; what is in it is undefined."""
        ordered = list(tensors)
        allocated = [numpy.empty(tensor.size, numpy.uint8) for tensor in ordered]
        rooms = sorted((tensor.offset, room.data) for tensor, room in zip(ordered, allocated, strict=True) if room.size)
        self._rooms[index] = [offset for offset, _ in rooms], [room for _, room in rooms]
        return allocated

    def write(self, index: int, offset: int, raw: Buffer) -> None:
        """See ``Sink``: copies to where the bytes belong, each byte once."""
        begins, rooms = self._rooms[index]
        chunk = memoryview(raw)
        end = offset + len(chunk)
        for number in range(max(bisect_right(begins, offset) - 1, 0), len(begins)):
            begin, room = begins[number], rooms[number]
            if begin >= end:
                return
            first, last = max(begin, offset), min(begin + len(room), end)
            if first < last:
                room[first - begin : last - begin] = chunk[first - offset : last - offset]

    def clear(self) -> None:
        """Nothing is written any more: the memory is the tensors' alone."""
        self._rooms.clear()
