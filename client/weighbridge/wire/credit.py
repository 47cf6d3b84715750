"""Credit: how many bytes may be on their way without an ack."""

from __future__ import annotations

import threading


class Credit:
    """A number of bytes that senders take from and acks return to. Safe to use from several threads."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._used = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size_bytes: int) -> bool:
        """Waits until there is room; False when the stream has ended and nothing more shall be sent.

        What is larger than the whole credit passes when nothing else is on its way.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not self._used or self._used + size_bytes <= self._size_bytes
            )
            self._used += size_bytes
            return not self._closed

    def give_back(self, size_bytes: int) -> None:
        """An ack for that many bytes came."""
        with self._changed:
            self._used -= size_bytes
            self._changed.notify_all()

    def close(self) -> None:
        """Wakes those who wait; nothing more is sent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
