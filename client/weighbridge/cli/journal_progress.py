"""How far a verification of the journal has come, on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from weighbridge.cli.options import GlobalOptions
from weighbridge.cli.progress_lines import INTERVAL_S
from weighbridge.cli.render import console
from weighbridge.journal import JournalProgress


@contextmanager
def checking_shown(what: str, options: GlobalOptions) -> Iterator[JournalProgress | None]:
    """Shows the progress of the block: one line that changes where a person looks on, else lines of a log."""
    if options.json or options.quiet:
        yield None
    elif sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
        with console(stderr=True).status(f"{what} the journal …") as status:
            yield lambda done, total: status.update(_line(what, done, total))
    else:
        yield _Lines(what)


class _Lines:
    """A line now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= INTERVAL_S:
            self._said_s = now_s
            print(_line(self._what, done, total), file=sys.stderr, flush=True)


def _line(what: str, done: int, total: int) -> str:
    """Each event counts twice: on the server, and here."""
    share = min(done, total) / total if total else 1.0
    return f"{what} the journal: {share:.0%} of {total // 2} events, each on the server and here"
