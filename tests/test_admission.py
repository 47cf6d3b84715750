"""Clients that hold on: stalled, silent, stopped, too many. Nobody else notices, and every place comes free again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import raw_client
import weighbridge as wb
from conftest import RunningServer
from raw_client import (
    MIB,
    PATIENCE_S,
    RawClient,
    all_places_free,
    file_of,
    opened,
    peak_bytes,
    places_taken,
    put_opened,
    put_part,
    raw_chunk,
    refused,
    sent,
    silence,
    wait_until,
)
from weighbridge.core.digest import chunk_digest
from weighbridge.v1 import transfer_pb2, versions_pb2

NewModel = Callable[[], str]
PLACES = 9
STALL_S = 1.0
RETRY_S = 3.0


@contextmanager
def running(session_dir: Path, name: str, places: int) -> Iterator[RunningServer]:
    """A server with little patience and few places."""
    config = session_dir / f"{name}.toml"
    config.write_text(f"stall_s = {STALL_S}\ntransfer_streams = {places}\n")
    server = RunningServer(session_dir / name, ("--config", str(config))).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def impatient(session_dir: Path) -> Iterator[RunningServer]:
    """A server that ends what stands still for a second, with nine places."""
    with running(session_dir, "impatient", PLACES) as server:
        yield server


@pytest.fixture(scope="module")
def narrow(session_dir: Path) -> Iterator[RunningServer]:
    """The same with one place."""
    with running(session_dir, "narrow", 1) as server:
        yield server


@pytest.fixture
def raw(impatient: RunningServer) -> Iterator[RawClient]:
    """A raw client of the impatient server."""
    with RawClient(impatient.address) as client:
        yield client


@pytest.fixture
def model(raw: RawClient, new_model: NewModel) -> str:
    """A registered model."""
    return raw.create(new_model())


@pytest.fixture
def upload_id(raw: RawClient, model: str) -> str:
    """An open upload."""
    return raw.begin(model)


@pytest.fixture
def connections(impatient: RunningServer) -> Iterator[Callable[[], RawClient]]:
    """More raw clients of the impatient server, each with a connection of its own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(RawClient(impatient.address))


# -- more transfers than places ------------------------------------------------------------------


def test_a_transfer_without_a_place_is_told_when_to_come_back(raw: RawClient, model: str, upload_id: str) -> None:
    ref = raw.push(model, b"weights")
    all_places_free(raw, upload_id, PLACES)
    calls = wait_until(lambda: places_taken(raw, upload_id, PLACES))
    for transfer in (
        lambda: raw.send(upload_id, raw_chunk(b"one more")),
        lambda: raw.put(upload_id, file_of("f")[0]),
        lambda: list(raw.transfer.GetManifest(transfer_pb2.GetManifestRequest(ref=ref))),
        lambda: list(raw.transfer.DownloadChunks(transfer_pb2.DownloadChunksRequest(ref=ref))),
        lambda: list(raw.transfer.ReadFile(transfer_pb2.ReadFileRequest(ref=ref, path="weights.bin"))),
    ):
        refusal = refused(transfer)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refusal.retry_after_s
    assert raw.serving()
    assert raw.missing(upload_id, [bytes(32)]) == [bytes(32)]
    assert raw.begin(model)
    assert all(call.is_active() for call in calls)
    for call in calls:
        call.cancel()
    all_places_free(raw, upload_id, PLACES)


@pytest.mark.long
def test_pushes_and_pulls_at_once_all_finish_on_a_single_place(
    narrow: RunningServer, new_model: NewModel, tmp_path: Path
) -> None:
    """One file is larger than the credit, most are smaller."""
    sizes = {"large.bin": 40 * MIB, **{f"{number}.bin": 1000 * number for number in range(4)}}
    source = tmp_path / "source"
    source.mkdir()
    for name, size in sizes.items():
        (source / name).write_bytes(os.urandom(size))

    def push_and_pull(number: int) -> None:
        with narrow.connect() as client:
            model, out = new_model(), tmp_path / f"out-{number}"
            client.push(model, source if number == 0 else source / f"{number}.bin")
            path = client.pull(model, out)
            for file in path.iterdir():
                if file.suffix == ".bin":
                    assert file.read_bytes() == (source / file.name).read_bytes()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(push_and_pull, number) for number in range(4)]:
            done.result(PATIENCE_S)
    assert any(line.get("reason") == "OVERLOADED" for line in narrow.log_lines())


def test_many_streams_of_one_upload_do_not_wait_for_each_other(raw: RawClient, model: str, upload_id: str) -> None:
    """All send the same chunks and some of their own, each stream more than its acks' queue holds."""
    common = [os.urandom(100) for _ in range(300)]
    own = [[os.urandom(100) for _ in range(300)] for _ in range(PLACES - 1)]
    with ThreadPoolExecutor(PLACES) as threads:
        streams = [threads.submit(raw.send, upload_id, *map(raw_chunk, [*common, *mine])) for mine in own]
        for stream in streams:
            stream.result(PATIENCE_S)
    every = [*common, *(chunk for mine in own for chunk in mine)]
    assert raw.missing(upload_id, map(chunk_digest, every)) == []


# -- clients that stand still --------------------------------------------------------------------


def test_an_upload_that_sends_nothing_is_ended_and_keeps_what_is_durable(raw: RawClient, upload_id: str) -> None:
    chunk = raw_chunk(os.urandom(100))
    with silence() as then_nothing:
        call = raw.transfer.UploadChunks(then_nothing(opened(upload_id), sent(chunk)))
        refusal = refused(lambda: list(call))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert refusal.retry_after_s is not None  # to go on in a new stream is right
    assert raw.missing(upload_id, [chunk.digest]) == []
    all_places_free(raw, upload_id, PLACES)


@pytest.mark.parametrize("begun", ["nothing", "open", "file", "nothing of an upload"])
def test_a_stream_that_says_no_more_is_ended(raw: RawClient, upload_id: str, begun: str) -> None:
    files = [put_opened(upload_id), put_part(file_of("f", b"one")[0])]
    with silence() as then_nothing:
        if begun == "nothing of an upload":
            refusal = refused(lambda: list(raw.transfer.UploadChunks(then_nothing())))
        else:
            messages = files[: ["nothing", "open", "file"].index(begun)]
            refusal = refused(lambda: raw.transfer.PutManifest(then_nothing(*messages)))
    # The server cannot send a status of its own where it waits inside gRPC.
    assert refusal.code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
    all_places_free(raw, upload_id, PLACES)


def test_a_slow_client_that_moves_is_not_ended(raw: RawClient, upload_id: str) -> None:
    chunks = [raw_chunk(os.urandom(100)) for _ in range(8)]
    pace = threading.Event()

    def slowly() -> Iterator[transfer_pb2.UploadChunksRequest]:
        yield opened(upload_id)
        for chunk in chunks:
            pace.wait(STALL_S * 0.3)
            yield sent(chunk)

    list(raw.transfer.UploadChunks(slowly()))
    assert raw.missing(upload_id, [chunk.digest for chunk in chunks]) == []


def test_a_client_that_never_reads_its_acks_is_ended_and_does_not_grow_the_server(
    impatient: RunningServer, raw: RawClient, upload_id: str
) -> None:
    before, chunks_sent = peak_bytes(impatient), 0

    def without_end() -> Iterator[transfer_pb2.UploadChunksRequest]:
        nonlocal chunks_sent
        yield opened(upload_id)
        while chunks_sent < 100_000:
            chunks_sent += 1
            yield sent(raw_chunk(os.urandom(64 * 1024)))

    call: Any = raw.transfer.UploadChunks(without_end())
    wait_until(lambda: chunks_sent > 1500)
    all_places_free(raw, upload_id, PLACES)  # its own too, and not one answer was asked for
    assert chunks_sent < 10_000
    assert peak_bytes(impatient) - before < 64 * MIB
    call.cancel()


def test_eight_that_never_read_their_downloads_leave_the_ninth_alone(
    impatient: RunningServer, raw: RawClient, connections: Callable[[], RawClient], new_model: NewModel, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(os.urandom(8 * MIB))
    model = new_model()
    with impatient.connect() as client:
        client.push(model, tmp_path / "weights.bin")
        chunk = (tmp_path / "weights.bin").read_bytes()[: 2 * MIB]
        before, log_before = peak_bytes(impatient), len(impatient.log_lines())
        request = transfer_pb2.DownloadChunksRequest(ref=model, digests=[chunk_digest(chunk)] * 16_384)
        unread: list[Any] = []
        for _ in range(8):
            unread.append(connections().transfer.DownloadChunks(request))
            assert next(unread[-1]).chunk.payload == chunk  # it runs; no more is asked for
        out = client.pull(model, tmp_path / "out")
        assert (out / "weights.bin").read_bytes() == (tmp_path / "weights.bin").read_bytes()
        assert raw.serving()
    upload_id = raw.begin(model)
    all_places_free(raw, upload_id, PLACES)
    assert peak_bytes(impatient) - before < 128 * MIB
    lines = [line for line in impatient.log_lines()[log_before:] if line.get("method") == "DownloadChunks"]
    ended = [line["code"] for line in lines if line["code"] not in ("OK", "RESOURCE_EXHAUSTED")]
    assert ended == ["DEADLINE_EXCEEDED"] * 8, "the log says whose doing it was"
    for call in unread:
        refusal = refused(lambda call=call: list(call))  # type: ignore[misc]
        assert refusal.code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)


class SlowSource:
    """A progress that holds the source back until the server has ended the stream, and for longer, now and then."""

    def __init__(self, ended: Callable[[], int], beyond_s: float) -> None:
        """``ended``: how many streams the server has ended. ``beyond_s``: how long the source pauses after that."""
        self._ended = ended
        self._beyond_s = beyond_s
        self._pause = threading.Event()
        self._moves = 0

    def begin(self, files_total: int, bytes_total: int) -> None:
        """Nothing."""

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Before the second and the fourth chunk is sent."""
        self._moves += bool(moved_bytes)
        if moved_bytes and self._moves in (2, 4):
            before = self._ended()
            wait_until(lambda: self._ended() > before)
            self._pause.wait(self._beyond_s)


@pytest.mark.long
def test_a_push_from_a_slow_source_goes_on(impatient: RunningServer, new_model: NewModel, tmp_path: Path) -> None:
    """Although the server ends its stream, and although it waited longer than the push would try again."""
    (tmp_path / "weights.bin").write_bytes(os.urandom(8 * MIB))  # so few chunks go on one stream
    model, log_before = new_model(), len(impatient.log_lines())

    def codes() -> list[str]:
        lines = impatient.log_lines()[log_before:]
        return [line["code"] for line in lines if line.get("method") == "UploadChunks"]

    with wb.connect(impatient.address, retry_limit_s=RETRY_S) as client:
        progress = SlowSource(lambda: len(codes()), RETRY_S * 1.3)
        pushed = client.push(model, tmp_path / "weights.bin", progress=progress)
        *ended, last = codes()
        assert pushed.chunks_total == 4
        assert pushed.chunks_sent <= 4 + len(ended)  # the chunk that found its stream ended; what was durable, once
        out = client.pull(model, tmp_path / "out")
        assert (out / "weights.bin").read_bytes() == (tmp_path / "weights.bin").read_bytes()
    assert last == "OK"
    assert len(ended) >= 2
    assert set(ended) == {"DEADLINE_EXCEEDED"}


# -- clients that are not there any more ---------------------------------------------------------


@contextmanager
def client_process(server: RunningServer, upload_id: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """A client that holds places, in a process of its own."""
    command = [sys.executable, raw_client.__file__, server.address, upload_id, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "holding\n"
            yield process
        finally:
            process.kill()


def nothing_is_visible(raw: RawClient, model: str) -> None:
    """No version of the model came to be."""
    assert list(raw.versions.ListVersions(versions_pb2.ListVersionsRequest(model=model)).versions) == []
    assert refused(lambda: raw.versions.GetVersion(versions_pb2.GetVersionRequest(ref=model))).reason == (
        "VERSION_NOT_FOUND"
    )


def test_a_stopped_client_loses_its_places(
    impatient: RunningServer, raw: RawClient, model: str, upload_id: str
) -> None:
    all_places_free(raw, upload_id, PLACES)
    with client_process(impatient, upload_id, PLACES) as process:
        process.send_signal(signal.SIGSTOP)
        all_places_free(raw, upload_id, PLACES)
        assert process.poll() is None
    nothing_is_visible(raw, model)


def test_a_killed_client_loses_its_places_at_once(server: RunningServer, new_model: NewModel) -> None:
    """On a server that would wait a minute for it."""
    with RawClient(server.address) as raw:
        model = raw.create(new_model())
        upload_id = raw.begin(model)
        with client_process(server, upload_id, 64) as process:
            assert places_taken(raw, upload_id, 1) is None
            process.kill()
            all_places_free(raw, upload_id, 64)
        nothing_is_visible(raw, model)


# -- very many clients ---------------------------------------------------------------------------


def idle_upload(client: RawClient, nothing: Iterator[Any]) -> Any:
    """An upload stream."""
    return client.transfer.UploadChunks(nothing)


def idle_reflection(client: RawClient, nothing: Iterator[Any]) -> Any:
    """A reflection stream."""
    call: Any = client.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    return call(nothing)


def half_a_call(method: str) -> Callable[[RawClient, Iterator[Any]], Any]:
    """A call that takes one request, which does not come."""

    def begin(client: RawClient, nothing: Iterator[Any]) -> Any:
        call: Any = client.channel.stream_stream(method)
        return call(nothing)

    return begin


IDLE = {
    "uploads": idle_upload,
    "reflection": idle_reflection,
    "half a call": half_a_call("/weighbridge.v1.VersionService/GetVersion"),
    "half a download": half_a_call("/weighbridge.v1.TransferService/DownloadChunks"),
    "half a health check": half_a_call("/grpc.health.v1.Health/Check"),
    "half a health watch": half_a_call("/grpc.health.v1.Health/Watch"),
}


@pytest.mark.parametrize("kind", IDLE)
def test_two_hundred_connections_that_do_nothing_keep_nobody_out(
    impatient: RunningServer,
    raw: RawClient,
    connections: Callable[[], RawClient],
    model: str,
    upload_id: str,
    kind: str,
) -> None:
    before = peak_bytes(impatient)
    ref = raw.push(model, b"weights")
    with silence() as then_nothing:
        calls = [IDLE[kind](connections(), then_nothing()) for _ in range(200)]
        for call in calls:
            call.initial_metadata  # noqa: B018
        wait_until(raw.answers)
        all_places_free(raw, upload_id, PLACES)
        resolved = raw.versions.ResolveVersion(versions_pb2.ResolveVersionRequest(ref=model), timeout=2)
        assert resolved.ref == ref
        assert peak_bytes(impatient) - before < 100 * MIB
        for call in calls:
            call.cancel()


def test_reflection_has_places_of_its_own(raw: RawClient, upload_id: str) -> None:
    with silence() as then_nothing:
        calls = [idle_reflection(raw, then_nothing()) for _ in range(9)]
        ended = [refused(lambda call=call: list(call)) for call in calls]  # type: ignore[misc]
    assert sum(refusal.reason == "OVERLOADED" for refusal in ended) == 1
    assert places_taken(raw, upload_id, 1)
