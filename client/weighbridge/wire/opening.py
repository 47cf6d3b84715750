"""Beginning calls that gRPC serves with a thread of its own, so that Ctrl-C cannot come between the two."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def opened(begin: Callable[[], Any]) -> Any:
    """The call that ``begin`` begins.

    Where an exception of a signal cuts the beginning off, the channel has a call and no thread that serves it: every
    later call on it, and its close, then waits for ever. Signals are for the main thread; so another one begins it.
    """
    if threading.current_thread() is not threading.main_thread():
        return begin()
    call = Future[Any]()
    try:
        threading.Thread(target=_run, args=[begin, call], name="weighbridge-call", daemon=True).start()
        return call.result()
    except BaseException:
        call.add_done_callback(_cancel)
        raise


def _run(begin: Callable[[], Any], call: Future[Any]) -> None:
    try:
        call.set_result(begin())
    except BaseException as fault:  # noqa: BLE001 - raised by who waits
        call.set_exception(fault)


def _cancel(call: Future[Any]) -> None:
    if call.exception() is None:
        call.result().cancel()
