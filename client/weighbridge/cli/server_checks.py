"""The checks of the server: is it there, is it one of ours, and how far away."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator

import grpc

from weighbridge.cli.checks import Check
from weighbridge.cli.options import GlobalOptions
from weighbridge.core.errors import DeadlineExceeded, Unimplemented, UsageError, WeighbridgeError
from weighbridge.v1 import models_pb2, models_pb2_grpc
from weighbridge.wire.channel import call_metadata, open_channel, translated

_PATIENCE_S = 5.0
_ROUNDS = 5
_START_ONE = "start one with 'weighbridge serve', or name another with --server or WEIGHBRIDGE_SERVER"
_HEALTH = "/grpc.health.v1.Health/Check"
_HEALTH_STATES = {b"": "UNKNOWN", b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING", b"\x08\x03": "SERVICE_UNKNOWN"}
"""``HealthCheckResponse`` as bytes: its stubs come with the server's parts, which may not be installed here."""


def server(options: GlobalOptions) -> Iterator[Check]:
    """The checks, until one fails that the rest stands on."""
    address, origin = options.address()
    try:
        credential = options.credential()
        options.connect().close()
    except UsageError as fault:
        yield Check("server", False, f"{address} ({origin})", fault.message)
        return
    yield Check("server", True, f"{address} ({origin})")
    yield Check("token", True, f"set ({credential[1]})" if credential else "not set")
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        why = (fault.strerror if isinstance(fault, OSError) else "") or str(fault)
        yield Check("name", False, f"{host}: {why}", "check the spelling, and this machine's DNS or /etc/hosts")
        return
    targets = list(dict.fromkeys((str(item[4][0]), int(item[4][1])) for item in found))
    yield Check("name", True, f"{host} is {', '.join(target[0] for target in targets)}")
    connection = _connection(targets)
    yield connection
    if connection.ok:
        yield from _calls(address, credential[0] if credential else None)


def _connection(targets: list[tuple[str, int]]) -> Check:
    failures = []
    for target in targets:
        shown = f"{target[0]} port {target[1]}"
        began = time.monotonic()
        try:
            socket.create_connection(target, _PATIENCE_S).close()
        except OSError as fault:
            failures.append(f"{shown}: {'no answer' if isinstance(fault, TimeoutError) else fault.strerror or fault}")
            continue
        return Check("connection", True, f"{shown} accepts, in {_milliseconds(time.monotonic() - began)}")
    return Check(
        "connection", False, "; ".join(failures), f"no server listens there, or a firewall is between: {_START_ONE}"
    )


def _calls(address: str, token: str | None) -> Iterator[Check]:
    metadata = call_metadata(token)
    with open_channel(address) as channel:
        check_health: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_HEALTH)

        def health() -> str:
            with translated(address):
                answer = check_health(b"", timeout=_PATIENCE_S, metadata=metadata)
            return _HEALTH_STATES.get(answer, "not understood")

        try:
            state = health()
        except WeighbridgeError as error:
            yield Check("health", False, _cause(error), _no_grpc_advice())
            return
        serving = state == "SERVING"
        yield Check("health", serving, state, "" if serving else "it is starting or stopping; see the server's log")
        stub = models_pb2_grpc.ModelServiceStub(channel)
        try:
            with translated(address):
                stub.ListModels(models_pb2.ListModelsRequest(page_size=1), timeout=_PATIENCE_S, metadata=metadata)
        except WeighbridgeError as error:
            yield Check("API", False, _cause(error), _api_advice(error))
            return
        # The API does not tell the server's release: that it answers in v1 is what can be known.
        yield Check("API", True, "weighbridge.v1, which this client speaks")
        try:
            yield Check("round trip", True, f"{_milliseconds(_median_s(health))}, the median of {_ROUNDS}")
        except WeighbridgeError as error:
            yield Check("round trip", False, _cause(error), "the server went away while it was looked at; try again")


def _median_s(health: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        health()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _cause(error: WeighbridgeError) -> str:
    """What gRPC said, without the advice that is for other verbs."""
    fault = error.__cause__
    if isinstance(fault, grpc.Call):
        return f"{fault.code().name}: {fault.details()}"
    return f"{error.reason}: {error.message}"


def _no_grpc_advice() -> str:
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):  # the order in which gRPC looks
        if os.environ.get(name):
            return f"gRPC goes through the proxy in {name}; to go straight, name the server's host in no_proxy"
    return "what listens there does not speak gRPC without TLS: another program, or a proxy; check host and port"


def _api_advice(error: WeighbridgeError) -> str:
    if isinstance(error, Unimplemented):
        return "it is another gRPC service, or a release that does not speak weighbridge.v1; update the older side"
    if isinstance(error, DeadlineExceeded):
        return "the server hangs, most likely on its database; see its log"
    if error.code == "UNAUTHENTICATED":
        return "name a token that works with --token, WEIGHBRIDGE_TOKEN or WEIGHBRIDGE_TOKEN_FILE; an admin makes one"
    if error.code == "PERMISSION_DENIED":
        return "the token is right, and may do nothing yet: an admin grants it a role with 'weighbridge grant add'"
    return "see the server's log"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
