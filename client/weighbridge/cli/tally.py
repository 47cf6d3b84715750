"""How far a transfer has come and how fast it goes: what a bar and a line of a log both say."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

_WINDOW_S = 10.0
"""The throughput is that of the last seconds: what a person waits for."""


@dataclass(frozen=True)
class Standing:
    """One moment of a transfer."""

    files_total: int
    bytes_total: int
    bytes_done: int
    chunks_skipped: int
    """Chunks that did not have to move: the server has them, or they are here already."""
    path: str
    bytes_per_second: float

    @property
    def begun(self) -> bool:
        """Whether it is known how much there is to move."""
        return self.files_total > 0

    @property
    def share(self) -> float:
        """What is done, from 0 to 1."""
        return min(1.0, self.bytes_done / self.bytes_total) if self.bytes_total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """None while nothing moves."""
        return (self.bytes_total - self.bytes_done) / self.bytes_per_second if self.bytes_per_second else None


class Tally:
    """The ``FileProgress`` that counts; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files = self._bytes = self._done = self._skipped = 0
        self._path = ""
        self._samples: deque[tuple[float, int]] = deque()

    def begin(self, files_total: int, bytes_total: int) -> None:
        """See ``Progress``."""
        with self._lock:
            self._files += files_total
            self._bytes += bytes_total

    def file(self, path: str) -> None:
        """See ``FileProgress``."""
        self._path = path

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """See ``Progress``."""
        with self._lock:
            self._done += raw_bytes
            self._skipped += raw_bytes > 0 and moved_bytes == 0

    def standing(self, now_s: float) -> Standing:
        """How it stands; the throughput is that since the calls of the last seconds."""
        with self._lock:
            done = self._done
            while len(self._samples) > 1 and self._samples[1][0] <= now_s - _WINDOW_S:
                self._samples.popleft()
            since_s, before = self._samples[0] if self._samples else (now_s, done)
            self._samples.append((now_s, done))
            speed = (done - before) / (now_s - since_s) if now_s > since_s else 0.0
            return Standing(self._files, self._bytes, done, self._skipped, self._path, speed)
