"""What a server can do whose answers stand still, cannot be read or make no sense: nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import grpc
import pytest

import weighbridge as wb
from hostile_pulls import GROWTH_MB, IMPATIENT_S, RETRY_S, STALL_S, Place, refused, stopping_after
from hostile_server import MODEL, REF, Answers, Content, HostileServer, PullProcess, until_ended
from weighbridge.client import Client
from weighbridge.core import errors
from weighbridge.core.paths import PARTIAL_PREFIX
from weighbridge.v1 import models_pb2, transfer_pb2, versions_pb2

pytest_plugins = ["hostile_fixtures"]

# -- streams that stand still, and answers that cannot be read --------------------------------------


@pytest.mark.timeout(IMPATIENT_S)
def test_a_manifest_that_never_comes_is_ended(hostile: HostileServer, hasty: Client, place: Place) -> None:
    def silent(request: Any, context: grpc.ServicerContext) -> Answers:
        until_ended(context)
        yield from ()

    hostile.manifest = silent
    began = time.monotonic()
    refused(hasty, place, errors.DeadlineExceeded, f"{hostile.address} moved nothing for {STALL_S:g} s")
    assert time.monotonic() - began >= 2 * STALL_S


def test_a_manifest_that_stops_is_ended(hostile: HostileServer, hasty: Client, place: Place, honest: Content) -> None:
    def stopping(request: Any, context: grpc.ServicerContext) -> Answers:
        yield honest.header()
        yield from list(honest.listed())[:2]
        until_ended(context)

    hostile.manifest = stopping
    refused(hasty, place, errors.DeadlineExceeded, f"{hostile.address} moved nothing for {STALL_S:g} s")


def test_chunks_that_stop_coming_end_the_pull_and_the_next_goes_on(
    hostile: HostileServer, hasty: Client, place: Place, honest: Content
) -> None:
    honestly, hostile.download = hostile.download, stopping_after(honest, 2)
    with pytest.raises(wb.DeadlineExceeded, match=f"{hostile.address} moved nothing for {STALL_S:g} s"):
        hasty.pull(REF, place.dest)
    assert {path.name[:13] for path in place.dest.iterdir()} == {"mine.txt", PARTIAL_PREFIX}
    hostile.download = honestly
    assert hasty.pull_with_counts(REF, place.dest).chunks_received == 2
    assert {path.name for path in place.dest.iterdir()} == {"mine.txt", "config.json", "deep"}


def test_a_reader_that_takes_its_time_is_not_ended(hostile: HostileServer, hasty: Client, honest: Content) -> None:
    """The server owes nothing while nobody asks for more."""
    files = hasty.files(REF)
    next(files)
    assert not threading.Event().wait(2 * STALL_S)
    assert [file.path for file in files] == ["deep/weights.bin"]


def test_a_message_over_4_mib_is_refused(hostile: HostileServer, sdk: Client, place: Place, honest: Content) -> None:
    big = transfer_pb2.DownloadChunksResponse(chunk=transfer_pb2.Chunk(payload=bytes(5 * 2**20)))
    hostile.download = lambda request, context: iter([big])
    refused(sdk, place, errors.Overloaded, "larger than max")
    hostile.manifest = lambda request, context: iter([honest.header(ref="x" * 5 * 2**20)])
    refused(sdk, place, errors.Overloaded, "larger than max")


def _abort(code: grpc.StatusCode, metadata: tuple[tuple[str, bytes | str], ...] = ()) -> Callable[..., Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(metadata)
        context.abort(code, "no")

    return answer


@pytest.mark.parametrize(
    ("metadata", "cls"),
    [
        ((("grpc-status-details-bin", b"\xff\xff\xff"),), errors.Unavailable),
        ((("grpc-status-details-bin", b"\x08\x05"),), errors.Unavailable),
        ((("grpc-status-details-bin", b""),), errors.Unavailable),
        (tuple((f"x-{number}", "y" * 1000) for number in range(500)), errors.Overloaded),
    ],
)
def test_trailers_that_cannot_be_read_are_still_an_error(
    hostile: HostileServer, sdk: Client, place: Place, metadata: Any, cls: type[wb.WeighbridgeError]
) -> None:
    hostile.manifest = _abort(grpc.StatusCode.CANCELLED, metadata)
    refused(sdk, place, cls, hostile.address)


@pytest.mark.timeout(IMPATIENT_S)
@pytest.mark.parametrize("where", ["manifest", "download"])
def test_a_server_that_is_never_available_ends_the_pull_in_time(
    hostile: HostileServer, sdk: Client, place: Place, where: str
) -> None:
    sdk.resolve(REF)  # it was there once
    setattr(hostile, where, _abort(grpc.StatusCode.UNAVAILABLE))
    began = time.monotonic()
    with pytest.raises(wb.Unavailable, match=hostile.address):
        sdk.pull(REF, place.dest)
    assert time.monotonic() - began > RETRY_S / 3
    assert {path.name for path in place.dest.iterdir() if not path.name.startswith(PARTIAL_PREFIX)} == {"mine.txt"}


class _Compressing(grpc.ServerInterceptor):
    """Every answer is compressed with gzip."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if not handler.response_streaming:
            return handler

        def compressed(request: Any, context: grpc.ServicerContext) -> Any:
            context.set_compression(grpc.Compression.Gzip)
            return handler.unary_stream(request, context)

        return grpc.unary_stream_rpc_method_handler(
            compressed, request_deserializer=handler.request_deserializer, response_serializer=bytes
        )


def test_a_compressed_message_is_not_inflated(place: Place, honest: Content) -> None:
    """gRPC inflates before it looks at its limit: 300 MB of zeros come as 0.3 MB."""
    with HostileServer(honest, interceptors=[_Compressing()]) as server:
        zeros: Any = bytes(300 * 2**20)
        server.manifest = lambda request, context: iter([zeros])
        before = place.state()
        answer = PullProcess(server.address, place.dest).answer()
    assert "ompress" in answer["message"]
    assert place.state() == before
    assert answer["growth_mb"] < GROWTH_MB


# -- answers of one message ------------------------------------------------------------------------


def test_garbage_in_place_of_a_digest_is_the_servers_fault(hostile: HostileServer, sdk: Client) -> None:
    hostile.resolve = lambda request: versions_pb2.ResolveVersionResponse(ref=REF, manifest_digest="x" * 10**6)
    with pytest.raises(wb.DataLoss, match="the server sent 'xxx") as caught:
        sdk.resolve(REF)
    assert len(caught.value.message) < 300


def test_a_stage_of_a_later_release_is_named(hostile: HostileServer, sdk: Client, honest: Content) -> None:
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(versions=[honest.version(stage=99)])
    with pytest.raises(errors.Unimplemented, match=r"'a\.b\.c:1' is in stage 99"):
        list(sdk.versions(MODEL))


def test_a_relation_of_a_later_release_is_not_taken_for_another(
    hostile: HostileServer, sdk: Client, honest: Content
) -> None:
    version = honest.version()
    version.record.parents.add(ref="a.b.c:7", relation=99)
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(versions=[version])
    with pytest.raises(wb.Unimplemented, match="relation 99"):
        list(sdk.versions(MODEL))


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 253_402_300_800])
def test_a_time_that_is_none_is_the_servers_fault(
    hostile: HostileServer, sdk: Client, honest: Content, seconds: int
) -> None:
    version = honest.version()
    version.created_time.seconds = seconds
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(versions=[version])
    with pytest.raises(wb.DataLoss, match="a time that is none"):
        list(sdk.versions(MODEL))


@pytest.mark.parametrize("tokens", [["same"] * 9, ["a", "b", "c"] * 3, ["a", "b", "a", "b"]])
def test_pages_that_lead_back_end_with_an_error(
    hostile: HostileServer, sdk: Client, honest: Content, tokens: list[str]
) -> None:
    rest = iter(tokens)
    hostile.list_versions = lambda request: versions_pb2.ListVersionsResponse(
        versions=[honest.version()], next_page_token=next(rest)
    )
    with pytest.raises(errors.InternalError, match="lists its versions without end"):
        list(sdk.versions(MODEL))
    rest = iter(tokens)
    hostile.list_models = lambda request: models_pb2.ListModelsResponse(
        models=[models_pb2.Model(name=MODEL)], next_page_token=next(rest)
    )
    with pytest.raises(errors.InternalError, match="lists its models without end"):
        list(sdk.models())


def test_empty_pages_without_end_are_an_error(hostile: HostileServer, sdk: Client) -> None:
    numbers = count()
    hostile.list_models = lambda request: models_pb2.ListModelsResponse(next_page_token=str(next(numbers)))
    with pytest.raises(errors.InternalError, match="lists its models without end"):
        list(sdk.models())
