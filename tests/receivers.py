"""Receivers of webhooks: real HTTP servers on loopback, which answer as a test says and keep what they were sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import weighbridge as wb

PATIENCE_S = 30.0


@dataclass
class Posted:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def event(self, secret: str) -> wb.Event:
        """What it holds, once its signature is verified."""
        return wb.verify_webhook(secret, self.headers, self.body)


@dataclass
class Receiver:
    """What was posted, in the order in which it came."""

    url: str = ""
    posted: list[Posted] = field(default_factory=list)
    answer: Callable[[Posted], int] = lambda posted: 200
    """Runs in the receiver's thread: it may wait. 0: the connection is closed without an answer."""
    _came: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int) -> list[Posted]:
        """The first so many requests."""
        return self.wait_until(lambda posted: len(posted) >= count)[:count]

    def wait_until(self, enough: Callable[[list[Posted]], bool]) -> list[Posted]:
        """All requests, once they are enough."""
        with self._came:
            assert self._came.wait_for(lambda: enough(self.posted), PATIENCE_S), f"only {len(self.posted)} came"
            return list(self.posted)

    def took(self, posted: Posted) -> int:
        """Called by the server: keeps a request; how to answer it."""
        with self._came:
            self.posted.append(posted)
            self._came.notify_all()
        return self.answer(posted)


@contextmanager
def receiving(answer: Callable[[Posted], int] | None = None) -> Iterator[Receiver]:
    """A receiver that answers 200, or what ``answer`` says, until the block ends."""
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.took(Posted(self.path, dict(self.headers.items()), body))
            if status:
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *said: object) -> None:
            """Nothing: the test says what came."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def revisions(posted: list[Posted], secret: str) -> list[int]:
    """Of requests whose signatures hold."""
    return [each.event(secret).revision for each in posted]
