"""Runs a server until it is told to stop."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from types import FrameType

import structlog

from weighbridge.core.errors import StartupFailed
from weighbridge.process import give_back_memory, prepare_process
from weighbridge_server.app import Server
from weighbridge_server.log import configure_logging
from weighbridge_server.settings import Settings

_WATCH_INTERVAL_S = 1.0
_AT_REST_BYTES = 192 * 1024 * 1024


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT. Calls ``ready`` with ``HOST:PORT`` once calls succeed.

    Raises:
        StartupFailed: the server cannot start, or its database died.
    """
    configure_logging()
    prepare_process()
    log = structlog.get_logger("serve")
    stop = _StopSignal()
    with Server(settings) as server:
        address = server.start()
        stop.serving = True
        log.info("ready", address=address, data=str(settings.data))
        ready(address)
        while not stop.wait(_WATCH_INTERVAL_S):
            give_back_memory(_AT_REST_BYTES)
            if server.postgres is not None and server.postgres.exit_code is not None:
                raise StartupFailed(
                    f"the embedded PostgreSQL ended with code {server.postgres.exit_code}; "
                    f"its log is in {settings.data}"
                )
        log.info("stopping", signal=stop.received[0])
        server.drain(given_up=lambda: len(stop.received) > 1)
    log.info("stopped")


class _StopSignal:
    """SIGTERM or SIGINT, turned into something to wait for."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.serving = False
        """Until then a signal interrupts whatever starts: a wait for a lock, the recovery of the database."""
        # A pipe and not an Event: its lock might be held by the very thread that the handler interrupts.
        self._woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._received)
        signal.signal(signal.SIGINT, self._received)

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.received.append(signal.Signals(number).name)
        if not self.serving:
            raise KeyboardInterrupt

    def wait(self, seconds: float) -> bool:
        """Whether one has come, after at most ``seconds``."""
        select.select([self._woken], [], [], seconds)
        return bool(self.received)
