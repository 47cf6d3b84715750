"""Progress on standard error: a bar where a person looks on, lines in a log, or nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from weighbridge.cli.options import GlobalOptions
from weighbridge.cli.progress_lines import INTERVAL_S, ProgressLines
from weighbridge.cli.render import console
from weighbridge.cli.tally import Standing, Tally
from weighbridge.cli.text import clip_start, visible
from weighbridge.cli.units import counted, duration, size
from weighbridge.progress import Progress, Silent

_REFRESH_HZ = 8
_BAR_CELLS_LEAST = 6


@contextmanager
def progress_shown(what: str, options: GlobalOptions, *, interval_s: float = INTERVAL_S) -> Iterator[Progress]:
    """Shows the progress of the block: see the module. ``interval_s`` is the time between lines of a log."""
    if options.json or options.quiet:
        yield Silent()
        return
    tally = Tally()
    # A terminal that cannot move its cursor is a log. FORCE_COLOR does not make one of a pipe.
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        with ProgressLines(what, tally, sys.stderr, interval_s=interval_s):
            yield tally
        return
    bar = _Bar(what, tally)
    # Gone when it ends: what is printed then says it all.
    with Live(
        bar,
        console=console(stderr=True),
        transient=True,
        refresh_per_second=_REFRESH_HZ,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield tally


class _Bar:
    """Two lines: how far and how fast; and what is moved."""

    def __init__(self, what: str, tally: Tally) -> None:
        self._what = what
        self._tally = tally

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        standing = self._tally.standing(time.monotonic())
        # The last column stays free: some terminals break the line when it is written.
        width = options.max_width - 1
        lines = [self._how_far(standing, width), self._what_moves(standing, width)] if standing.begun else []
        for text in lines or [Text(f"{self._what} …", style="dim")]:
            text.truncate(width)
            text.no_wrap = True
            yield text

    def _how_far(self, standing: Standing, width: int) -> Text:
        numbers = (
            f"  {standing.share:4.0%}"
            f"  {size(standing.bytes_done):>8} of {size(standing.bytes_total)}"
            f"  {size(standing.bytes_per_second) + '/s':>10}"
            f"  {_left(standing):<10}"
        )
        text = Text(self._what)
        cells = width - cell_len(self._what) - 2 - cell_len(numbers)
        if cells >= _BAR_CELLS_LEAST:
            done = round(cells * standing.share)
            text.append("  ")
            text.append("━" * done, "cyan")
            text.append("─" * (cells - done), "dim")
        return text.append(numbers)

    def _what_moves(self, standing: Standing, width: int) -> Text:
        start = f"  {counted(standing.files_total, 'file')}"
        end = f"  {counted(standing.chunks_skipped, 'chunk')} skipped" if standing.chunks_skipped else ""
        path = clip_start(visible(standing.path), width - cell_len(start) - 3 - cell_len(end))
        return Text(f"{start} · {path}{end}" if path else start + end, style="dim")


def _left(standing: Standing) -> str:
    if standing.bytes_done >= standing.bytes_total:
        return "finishing"  # the server's disk or ours is still at it
    seconds = standing.seconds_left
    return "waiting" if seconds is None else f"{duration(seconds)} left"
