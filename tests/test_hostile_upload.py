"""What a server that lies, stalls or never ends can do to those who push to it: nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any

import grpc
import pytest

import weighbridge as wb
from hostile_pulls import IMPATIENT_S, STALL_S
from hostile_server import MODEL, HostileServer, durable, until_ended, verified
from weighbridge.client import Client
from weighbridge.core import errors
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.v1 import transfer_pb2

pytest_plugins = ["hostile_fixtures"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of 17 chunks that do not compress: more than the credit."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(17 * CHUNK_BYTES))
    return path


Acks = Iterator[transfer_pb2.UploadChunksResponse]


def _never(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    until_ended(context)
    yield from ()


_TAKEN: list[list[bytes]] = []
"""What each stream of ``_read_and_never`` received."""


def _read_and_never(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    taken: list[bytes] = []
    _TAKEN.append(taken)
    for digest in server.digests(requests):
        taken.append(digest)
    until_ended(context)
    yield from ()


def _others(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    for number, _ in enumerate(server.digests(requests)):
        yield verified(number.to_bytes(32, "big"))
        yield durable(number.to_bytes(32, "big"))
    until_ended(context)


def _others_without_end(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    return (verified(number.to_bytes(32, "big")) for number in count())


def _one_without_end(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    return (ack(digest) for digest in [next(server.digests(requests))] for ack in repeat(verified))


def _never_durable(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    yield from map(verified, server.digests(requests))
    until_ended(context)


@pytest.mark.timeout(IMPATIENT_S)
@pytest.mark.parametrize(
    "acks", [_never, _read_and_never, _others, _others_without_end, _one_without_end, _never_durable]
)
def test_a_push_that_is_not_acknowledged_ends(
    hostile: HostileServer, hasty: Client, weights: Path, acks: Callable[..., Acks]
) -> None:
    hostile.upload = lambda requests, context: acks(hostile, requests, context)
    _TAKEN.clear()
    with pytest.raises(wb.DeadlineExceeded, match=f"{hostile.address} moved nothing for {STALL_S:g} s"):
        hasty.push(MODEL, weights)
    assert hostile.calls == ["abort"]
    if acks is _read_and_never:
        assert max(map(len, _TAKEN)) <= 16, "the credit of 32 MiB a stream, and no more"


def _twice(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    for digest in server.digests(requests):
        yield from (verified(digest, digest), verified(digest), durable(digest, digest), durable(digest))


def _durable_first(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    for digest in server.digests(requests):
        yield from (durable(digest), verified(digest))


def _durable_only(server: HostileServer, requests: Any, context: grpc.ServicerContext) -> Acks:
    yield from map(durable, server.digests(requests))


@pytest.mark.parametrize("acks", [_twice, _durable_first, _durable_only])
def test_acks_in_a_strange_order_harm_nothing(
    hostile: HostileServer, sdk: Client, weights: Path, acks: Callable[..., Acks]
) -> None:
    hostile.upload = lambda requests, context: acks(hostile, requests, context)
    assert sdk.push(MODEL, weights).chunks_sent == 17
    assert len(set(hostile.received)) == 17


def test_an_upload_that_is_ended_early_again_and_again_goes_on_with_the_rest(
    hostile: HostileServer, sdk: Client, weights: Path
) -> None:
    """With status OK, as if everything had been taken, after three chunks each time."""

    def upload(requests: Any, context: grpc.ServicerContext) -> Acks:
        for digest, _ in zip(hostile.digests(requests), range(3), strict=False):
            yield from (verified(digest), durable(digest))

    hostile.upload = upload
    assert sdk.push(MODEL, weights).chunks_total == 17
    assert len(set(hostile.received)) == 17
    assert hostile.calls == ["commit"]


@pytest.mark.timeout(IMPATIENT_S)
def test_an_upload_that_is_ended_at_once_is_never_committed(hostile: HostileServer, sdk: Client, weights: Path) -> None:
    """With status OK, as if everything had been taken."""
    hostile.upload = lambda requests, context: iter([])
    with pytest.raises(errors.StorageFailed, match=f"{hostile.address} ended an upload before"):
        sdk.push(MODEL, weights)
    assert hostile.calls == ["abort"]


def test_only_what_was_asked_is_sent(hostile: HostileServer, sdk: Client, weights: Path) -> None:
    hostile.find_missing = lambda request: [os.urandom(32), b"short", b"", *request.digests[1:2], *request.digests[1:2]]
    pushed = sdk.push(MODEL, weights)
    assert (pushed.chunks_sent, pushed.chunks_total) == (1, 17)
    assert len(hostile.received) == 1


def test_a_manifest_that_is_never_taken_ends_the_push(hostile: HostileServer, hasty: Client, weights: Path) -> None:
    def put(requests: Any, context: grpc.ServicerContext) -> Any:
        until_ended(context)

    hostile.put = put
    with pytest.raises(wb.DeadlineExceeded, match=f"{hostile.address} moved nothing for {STALL_S:g} s"):
        hasty.push(MODEL, weights)
    assert hostile.calls == ["abort"]


@pytest.mark.timeout(IMPATIENT_S)
def test_a_push_to_a_server_that_is_gone_ends(hostile: HostileServer, sdk: Client, weights: Path) -> None:
    def gone(request: Any) -> Any:
        hostile.stop()

    hostile.find_missing = gone
    with pytest.raises(wb.Unavailable):
        sdk.push(MODEL, weights)


@pytest.mark.parametrize(
    "lies",
    [
        {"model": "x.y.z", "ref": "x.y.z:1"},
        {"ref": "a.b.c:2"},
        {"version": 2},
        {"manifest_digest": "b3:" + "0" * 64},
        {"manifest_digest": "garbage"},
    ],
)
def test_a_commit_of_something_else_is_data_loss(
    hostile: HostileServer, sdk: Client, weights: Path, lies: dict[str, Any]
) -> None:
    hostile.commit = lambda request: hostile.content.version(**{"manifest_digest": request.manifest_digest, **lies})
    with pytest.raises(wb.DataLoss):
        sdk.push(MODEL, weights)
