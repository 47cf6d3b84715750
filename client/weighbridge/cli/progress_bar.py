"""A progress bar on standard error, where a person looks on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress

from weighbridge.cli.render import console
from weighbridge.progress import Progress, Silent


@contextmanager
def progress_bar(what: str, *, shown: bool) -> Iterator[Progress]:
    """A bar for the length of the block, or nothing where it would disturb."""
    out = console(stderr=True)
    if not shown or not out.is_terminal:
        yield Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=out, transient=True) as bars:
        yield _Bar(bars, bars.add_task(what, total=0), what)


class _Bar:
    def __init__(self, bars: RichProgress, task: TaskID, what: str) -> None:
        self._bars = bars
        self._task = task
        self._what = what
        self._files = 0
        self._bytes = 0

    def begin(self, files_total: int, bytes_total: int) -> None:
        self._files += files_total
        self._bytes += bytes_total
        noun = "file" if self._files == 1 else "files"
        self._bars.update(self._task, total=self._bytes, description=f"{self._what} {self._files} {noun}")

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        self._bars.advance(self._task, raw_bytes)
