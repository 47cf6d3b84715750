"""Following an alias: the version that it points at, pulled beside the one that runs, handed over, and reported.

Three threads: one watches, and notes where the alias points; one pulls what is wanted and hands it over, so that of
moves that come quickly only the last is pulled; one reports what runs, so that a long pull is no silence. What runs
changes in one moment only, when the caller's function has returned for the new version. Whatever fails before that
leaves the old one where it is, running and reported.
"""

from __future__ import annotations

import logging
import platform
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from weighbridge.core.deployments import Deployment
from weighbridge.core.errors import Unavailable, WeighbridgeError
from weighbridge.core.watching import Change

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_REPORTS_A_TTL = 3
"""One report may be lost, and the next still comes in time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Swap:
    """A version that is to take over."""

    ref: str
    """``name:number``."""
    version: int
    path: Path
    """The folder that holds it, verified. It stays until the version after it has taken over."""
    previous_ref: str
    """What runs until now; empty: nothing does."""
    revision: int
    """The journal revision of the alias's move."""


@dataclass(frozen=True)
class Steps:
    """What a follower does by way of its client."""

    watch: Callable[[], Iterator[Change]]
    pull: Callable[[str, Path], object]
    report: Callable[[str], Deployment]
    retire: Callable[[], object]
    close: Callable[[], None]


def default_node() -> str:
    """The machine's name."""
    return platform.node() or "unnamed"


class Follower:
    """Follows one alias until it is closed. A context manager; safe to use from several threads."""

    def __init__(
        self,
        steps: Steps,
        folder: Path,
        on_change: Callable[[Swap], object],
        *,
        ttl_s: int,
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        """Use ``Client.follow``."""
        self._steps = steps
        self._folder = folder
        self._on_change = on_change
        self._on_error = on_error
        self._ttl_s = ttl_s
        self._changed = threading.Condition()
        self._wanted: Change | None = None
        self._current: Swap | None = None
        self._closed = threading.Event()
        self._report_now = threading.Event()
        self._failure: Exception | None = None
        self._threads = [
            threading.Thread(target=run, name=f"weighbridge-follow-{name}", daemon=True)
            for name, run in (("watch", self._watch), ("swap", self._swap), ("report", self._report))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def current(self) -> Swap | None:
        """What runs; None before the first version has taken over."""
        with self._changed:
            return self._current

    def wait(self, timeout_s: float | None = None) -> Swap:
        """What runs, once something does.

        Raises:
            TimeoutError: nothing has taken over in time.
            WeighbridgeError: the watch ended, because the model is not there, say.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._current or self._failure or self._closed.is_set(), timeout_s)
            if self._current is not None:
                return self._current
            if self._failure is not None:
                raise self._failure
        raise TimeoutError("no version has taken over yet")

    def close(self) -> None:
        """Follows no longer, and says that nothing runs here any more. The folder of what ran stays."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._report_now.set()
        with self._changed:
            self._changed.notify_all()
        self._steps.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        if self._current is not None:
            try:
                self._steps.retire()
            except WeighbridgeError as fault:
                _log.warning("the deployment could not be retired; it will be found silent: %s", fault.message)

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the threads ---------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            for change in self._steps.watch():
                with self._changed:
                    self._wanted = change
                    self._changed.notify_all()
        except WeighbridgeError as fault:
            if self._closed.is_set():
                return
            self._tell(fault)
            with self._changed:
                self._failure = fault
                self._changed.notify_all()

    def _swap(self) -> None:
        pause_s = FIRST_PAUSE_S
        tried: Change | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed.is_set() or self._due())
                if self._closed.is_set():
                    return
                wanted = self._wanted
            assert wanted is not None, "something is due"
            pause_s = pause_s if wanted is tried else FIRST_PAUSE_S
            tried = wanted
            try:
                self._take_over(wanted)
            except Exception as fault:  # noqa: BLE001 - the caller's function may raise anything, and what runs goes on
                if self._closed.is_set():
                    return
                self._tell(fault)
                self._pause(wanted, pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _pause(self, tried: Change, pause_s: float) -> None:
        """Waits before the next try; the next move cuts it short."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed.is_set() or self._wanted is not tried, pause_s)

    def _due(self) -> bool:
        """The alias points at something else than what runs. Where it points nowhere, what runs goes on."""
        if self._wanted is None or not self._wanted.ref:
            return False
        return self._current is None or self._current.ref != self._wanted.ref

    def _take_over(self, wanted: Change) -> None:
        before = self._current
        number = wanted.version
        assert number is not None, "an alias points at a version, by its number"
        path = self._folder / str(number)
        self._steps.pull(wanted.ref, path)
        swap = Swap(wanted.ref, number, path, "" if before is None else before.ref, wanted.revision)
        self._on_change(swap)
        with self._changed:
            self._current = swap
            self._changed.notify_all()
        self._report_now.set()
        self._release(path)

    def _release(self, kept: Path) -> None:
        """Removes the folders of other versions: the one before, and what a process that was killed left."""
        for path in self._folder.iterdir():
            if path != kept and path.name.isdecimal() and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)

    def _report(self) -> None:
        while not self._closed.is_set():
            current = self.current
            if current is not None:
                try:
                    self._steps.report(current.ref)
                except WeighbridgeError as fault:
                    if not isinstance(fault, Unavailable) and not self._closed.is_set():
                        self._tell(fault)
            self._report_now.wait(self._ttl_s / _REPORTS_A_TTL)
            self._report_now.clear()

    def _tell(self, fault: Exception) -> None:
        _log.warning("following goes on with what runs: %s", fault)
        if self._on_error is not None:
            self._on_error(fault)
