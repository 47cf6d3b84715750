"""Following an alias: the version that it points at, pulled beside the one that runs, handed over, and reported.

Three threads: one watches, and notes where the alias points; one pulls what is wanted and hands it over, so that of
moves that come quickly only the last is pulled; one reports what runs, so that a long pull is no silence. What runs
changes in one moment only, when the caller's function has returned for the new version. Whatever fails before that
leaves the old one where it is, running and reported.

No thread ends before the follower is closed, but for one case: a watch that fails before anything was handed over is
raised by ``wait``, for then most likely the reference is wrong. Later, a node that follows no more and does not say so
would be worse than one that tries in vain.
"""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from weighbridge.core.deployments import Deployment
from weighbridge.core.watching import Change
from weighbridge.follower_folder import FollowerFolder
from weighbridge.follower_news import News
from weighbridge.follower_watch import FIRST_PAUSE_S, LONGEST_PAUSE_S, keep_watching

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
    """What a follower does by way of its connections."""

    watch: Callable[[], Iterator[Change]]
    pull: Callable[[str, Path], object]
    stop: Callable[[], None]
    """Ends the watch and the pull, for good."""
    report: Callable[[str], Deployment]
    retire: Callable[[], object]
    close: Callable[[], None]
    """Ends the reports, for good."""


def default_node() -> str:
    """The machine's name."""
    return platform.node() or "unnamed"


class Follower:
    """Follows one alias until it is closed. A context manager; safe to use from several threads."""

    def __init__(
        self,
        steps: Steps,
        folder: FollowerFolder,
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
        self._handing_over = False
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
            WeighbridgeError: the watch ended before there was a version, because the model is not there, say.
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
        with self._changed:
            if self._closed.is_set():
                return
            self._closed.set()
            self._changed.notify_all()
        self._report_now.set()
        self._steps.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        if self._current is not None:
            try:
                self._steps.retire()
            except Exception as fault:  # noqa: BLE001 - whatever it is, the follower is closed
                _log.warning("the deployment could not be retired; it will be found silent: %s", fault)
        self._steps.close()

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the threads ---------------------------------------------------------------------------

    def _watch(self) -> None:
        keep_watching(self._steps.watch, self._note, self._ends, self._closed)

    def _note(self, change: Change) -> None:
        with self._changed:
            self._wanted = change
            self._changed.notify_all()
        _log.debug("%s now stands for %s", change.resource, change.ref or "nothing")

    def _ends(self, fault: Exception, news: bool) -> bool:
        """Whether ``fault`` ends the following: nothing runs, and nothing is just taking over."""
        with self._changed:
            final = self._current is None and not self._handing_over
            if final:
                self._failure = fault
                self._changed.notify_all()
        if final or news:
            self._tell(fault)
        return final

    def _swap(self) -> None:
        try:
            self._swap_until_closed()
        finally:
            self._folder.close(None if self._current is None else self._current.path)

    def _swap_until_closed(self) -> None:
        pause_s = FIRST_PAUSE_S
        tried: Change | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed.is_set() or self._due())
                if self._closed.is_set():
                    return
                wanted = self._wanted
            assert wanted is not None, "something is due"
            pause_s = pause_s if _is_one_move(wanted, tried) else FIRST_PAUSE_S
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
            self._changed.wait_for(lambda: self._closed.is_set() or not _is_one_move(self._wanted, tried), pause_s)

    def _due(self) -> bool:
        """The alias points at something else than what runs. Where it points nowhere, what runs goes on."""
        if self._wanted is None or not self._wanted.ref or self._failure is not None:
            return False
        return self._current is None or self._current.ref != self._wanted.ref

    def _take_over(self, wanted: Change) -> None:
        number = wanted.version
        assert number is not None, "an alias points at a version, by its number"
        path = self._folder.place(number)
        _log.debug("%s is pulled into %s", wanted.ref, path)
        self._steps.pull(wanted.ref, path)
        swap = self._chosen(wanted.ref, number, path)
        if swap is not None:
            self._hand_over(swap)
        if self._current is not None and not self._closed.is_set():
            self._folder.release(self._current.path)

    def _chosen(self, ref: str, number: int, path: Path) -> Swap | None:
        """What is handed over after a pull; None where, meanwhile, the alias left what was pulled, or all ended."""
        with self._changed:
            wanted = self._wanted
            if wanted is None or wanted.ref != ref or self._failure is not None or self._closed.is_set():
                return None
            self._handing_over = True
            previous_ref = "" if self._current is None else self._current.ref
            return Swap(ref, number, path, previous_ref, wanted.revision)

    def _hand_over(self, swap: Swap) -> None:
        try:
            self._on_change(swap)
        except BaseException as fault:
            self._end_handing_over(None)
            if isinstance(fault, Exception):
                raise
            # Such as SystemExit, which here would end nothing but this thread.
            raise RuntimeError(f"on_change raised {fault!r}") from fault
        self._end_handing_over(swap)
        self._report_now.set()

    def _end_handing_over(self, swap: Swap | None) -> None:
        with self._changed:
            self._handing_over = False
            self._current = swap or self._current
            self._changed.notify_all()

    def _report(self) -> None:
        news = News()
        while not self._closed.is_set():
            current = self.current
            if current is not None:
                try:
                    self._steps.report(current.ref)
                    news.forget()
                except Exception as fault:  # noqa: BLE001 - nobody would see the thread end
                    if news.is_new(fault) and not self._closed.is_set():
                        self._tell(fault)
            self._report_now.wait(self._ttl_s / _REPORTS_A_TTL)
            self._report_now.clear()

    def _tell(self, fault: Exception) -> None:
        if self._current is None:
            _log.warning("following fails, and nothing runs yet: %s", fault)
        else:
            _log.warning("following goes on with what runs: %s", fault)
        if self._on_error is None:
            return
        try:
            self._on_error(fault)
        except BaseException:  # noqa: BLE001 - it would end the thread that does the following
            _log.exception("on_error failed; following goes on")


def _is_one_move(one: Change | None, other: Change | None) -> bool:
    """Whether both tell of the same move; a watch that begins anew tells the last again."""
    return one is not None and other is not None and (one.ref, one.revision) == (other.ref, other.revision)
