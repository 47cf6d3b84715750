"""Requests to receivers of webhooks, whose every part is bounded: an address is what anybody may have given us.

A limit on each wait of a socket bounds nothing: a receiver that sends a byte now and then would hold a thread for good.
So a request has one time, over name, connection, TLS, body and answer together, at whose end its socket is shut.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from weighbridge_server.domain.webhooks.ports import Answer

LIMIT_S = 10.0
_ERROR_CHARS = 300


class HttpPost:
    """Implements the domain's ``Sender``. Each request has a connection of its own. Proxies are not asked."""

    def __init__(self, limit_s: float = LIMIT_S, look_up: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        """``look_up``: finds the addresses of a name, as ``socket.getaddrinfo`` does."""
        self._limit_s = limit_s
        self._look_up = look_up
        self._tls = ssl.create_default_context()
        self._lock = threading.Lock()
        self._waits: set[Callable[[], object]] = set()
        """What ends each wait that there is now."""
        self._ended = False

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See the port."""
        began = time.monotonic()
        late = threading.Event()
        status, error = None, ""
        try:
            status = self._status(url, headers, body, began + self._limit_s, late)
            error = _refused(status)
        except (OSError, http.client.HTTPException, UnicodeError) as fault:
            error = self._why(fault, late)
        return Answer(status, error[:_ERROR_CHARS], round((time.monotonic() - began) * 1000))

    def end(self) -> None:
        """See the port."""
        with self._lock:
            self._ended = True
            waits = list(self._waits)
        for end in waits:
            end()

    def _status(self, url: str, headers: Mapping[str, str], body: bytes, ends: float, late: threading.Event) -> int:
        parts = urlsplit(url)
        assert parts.hostname is not None, "it was checked when the webhook was made"
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"Host": _host(parts.hostname, parts.port), "Connection": "close", **headers}
        fault: OSError = OSError("the host has no address")
        for family, kind, protocol, _, address in self._addresses(parts.hostname, port, ends, late):
            opened = socket.socket(family, kind, protocol)
            if secure:  # the handshake waits for the receiver, and so comes later
                opened = self._tls.wrap_socket(opened, server_hostname=parts.hostname, do_handshake_on_connect=False)
            with opened, self._limited(partial(_shut, opened), ends, late):
                try:
                    opened.settimeout(_left_s(ends))
                    opened.connect(address)
                except OSError as refused:
                    fault = refused
                    continue
                status = _answered(opened, parts.hostname, port, target, body, sent)
            if late.is_set():  # http.client takes the end that we made for that of the headers
                raise TimeoutError
            return status
        raise fault

    def _addresses(self, host: str, port: int, ends: float, late: threading.Event) -> list[Any]:
        """Looked up in a thread: that waits for a resolver as long as it likes, and cannot be ended."""
        found: Future[list[Any]] = Future()

        def look() -> None:
            # Who asked may have given up.
            with suppress(InvalidStateError):
                try:
                    found.set_result(self._look_up(host, port, type=socket.SOCK_STREAM))
                except (OSError, UnicodeError) as fault:
                    found.set_exception(fault)

        with self._limited(found.cancel, ends, late):
            threading.Thread(target=look, name="webhook-name", daemon=True).start()
            try:
                return found.result()
            except CancelledError:
                raise ConnectionAbortedError from None

    @contextmanager
    def _limited(self, end: Callable[[], object], ends: float, late: threading.Event) -> Iterator[None]:
        """Ends a wait when its time is over, or all is."""

        def give_up() -> None:
            late.set()
            end()

        timer = threading.Timer(ends - time.monotonic(), give_up)
        with self._lock:
            if self._ended:
                raise ConnectionAbortedError
            self._waits.add(end)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._waits.discard(end)

    def _why(self, fault: Exception, late: threading.Event) -> str:
        if late.is_set() or isinstance(fault, TimeoutError):
            return f"no answer within {self._limit_s:g} s"
        if isinstance(fault, socket.gaierror | UnicodeError):
            return "the host's name cannot be resolved"
        if isinstance(fault, ssl.SSLCertVerificationError):
            return f"the certificate is refused: {fault.verify_message}"
        if isinstance(fault, ssl.SSLError):
            return f"TLS failed: {fault.reason or 'the receiver may not speak it'}"
        if isinstance(fault, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(fault, ConnectionError | http.client.RemoteDisconnected):
            return "the connection was closed before an answer came"
        if isinstance(fault, http.client.HTTPException):
            return "the answer is not HTTP"
        return getattr(fault, "strerror", None) or type(fault).__name__


def _answered(opened: socket.socket, host: str, port: int, target: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status that is answered to a request."""
    if isinstance(opened, ssl.SSLSocket):
        opened.do_handshake()
    connection = http.client.HTTPConnection(host, port)
    connection.sock = opened
    connection.request("POST", target, body, headers)
    with connection.getresponse() as response:
        return response.status


def _left_s(ends: float) -> float:
    left_s = ends - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _shut(connection: socket.socket) -> None:
    """Wakes whoever waits for it, in whichever thread."""
    with suppress(OSError):  # it may be closed already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not that of TLS, which is not made for two threads


def _host(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _refused(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return f"answered {status}" + ("; redirects are not followed" if 300 <= status < 400 else "")
