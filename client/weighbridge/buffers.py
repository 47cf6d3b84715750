"""Memory for the chunks that are on their way: taken, given back and used again; and where they go."""

from __future__ import annotations

import threading

from weighbridge.core.chunks import Buffer
from weighbridge.core.limits import CHUNK_BYTES

_SMALL_BYTES = 128 * 1024
"""Below this the allocator is as good; above, it asks the system for pages and each costs a fault, as much as
hashing what is in it."""

_LARGE_BYTES = CHUNK_BYTES // 2


class Buffers:
    """Buffers of a chunk's size. Safe to use from several threads; grows to as many as are taken at once."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> memoryview:
        """Room for ``size`` bytes, at most a chunk; what is in it is undefined."""
        if size <= _SMALL_BYTES:
            return memoryview(bytearray(size))
        with self._lock:
            buffer = self._free.pop() if self._free else None
        return memoryview(buffer if buffer is not None else bytearray(CHUNK_BYTES))[:size]

    def give_back(self, room: memoryview) -> None:
        """Nobody reads this any more, nor any view of it."""
        buffer = room.obj
        if isinstance(buffer, bytearray) and len(buffer) == CHUNK_BYTES:
            with self._lock:
                self._free.append(buffer)


def copy_overlap(room: memoryview, begin: int, raw: Buffer, offset: int) -> int:
    """Copies what two stretches of a file have in common; returns how much that is.

    Args:
        room: memory for the stretch that begins at ``begin``, in bytes.
        begin: where.
        raw: the bytes from ``offset`` on.
        offset: where.
    """
    first, last = max(begin, offset), min(begin + len(room), offset + len(raw))
    if first >= last:
        return 0
    target, source = room[first - begin : last - begin], memoryview(raw)[first - offset : last - offset]
    if last - first < _LARGE_BYTES:
        target[:] = source
    else:
        import numpy

        # Other threads run meanwhile: most of the time goes into pages of the target that nobody has touched yet.
        numpy.copyto(numpy.frombuffer(target, numpy.uint8), numpy.frombuffer(source, numpy.uint8))
    return last - first
