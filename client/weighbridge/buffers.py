"""Memory for the chunks that are on their way: taken, given back and used again."""

from __future__ import annotations

import threading

from weighbridge.core.limits import CHUNK_BYTES

_SMALL_BYTES = 128 * 1024
"""Below this the allocator is as good; above, it asks the system for pages and each costs a fault, as much as
hashing what is in it."""


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
