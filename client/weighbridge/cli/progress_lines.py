"""Progress as lines of a log, where standard error is not a terminal."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TextIO

from weighbridge.cli.tally import Standing, Tally
from weighbridge.cli.units import counted, size

INTERVAL_S = 5.0
"""A transfer that is quicker says nothing."""


class ProgressLines:
    """Prints a line now and then while its block runs, and a last one if it printed any."""

    def __init__(self, what: str, tally: Tally, out: TextIO, *, interval_s: float = INTERVAL_S) -> None:
        self._what = what
        self._tally = tally
        self._out = out
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._printed = False
        # By the clock, not by what moves: a log must tell of a transfer that stands still.
        self._thread = threading.Thread(target=self._run, name="weighbridge-progress", daemon=True)

    def __enter__(self) -> ProgressLines:
        self._began_s = time.monotonic()
        self._tally.standing(self._began_s)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._printed and error is None:
            now_s = time.monotonic()
            standing = self._tally.standing(now_s)
            self._print(standing, standing.bytes_done / (now_s - self._began_s))

    def _run(self) -> None:
        while not self._ended.wait(self._interval_s):
            standing = self._tally.standing(time.monotonic())
            if standing.begun:
                self._print(standing, standing.bytes_per_second)

    def _print(self, standing: Standing, bytes_per_second: float) -> None:
        self._printed = True
        print(line(self._what, standing, bytes_per_second), file=self._out, flush=True)


def line(what: str, standing: Standing, bytes_per_second: float) -> str:
    """``pushing: 1.2 GB of 3.0 GB, 310.2 MB/s, 41 chunks skipped``."""
    done, total = size(standing.bytes_done), size(standing.bytes_total)
    skipped = f"{counted(standing.chunks_skipped, 'chunk')} skipped"
    return f"{what}: {done} of {total}, {size(bytes_per_second)}/s, {skipped}"
