"""A client without the SDK's manners: raw stubs, and what a refusal says."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from conftest import RunningServer
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.core.manifest import FileSummary, file_root, manifest_digest
from weighbridge.v1 import (
    lifecycle_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    transfer_pb2,
    transfer_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
)

MIB = 1024 * 1024
PATIENCE_S = 30
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own
    ("grpc.http2.bdp_probe", 0),  # what is not read stays with the server, but for 64 KiB
    ("grpc.max_send_message_length", -1),
)
Upload = transfer_pb2.UploadChunksRequest
Put = transfer_pb2.PutManifestRequest


class RawClient:
    """Stubs on a connection of their own."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address, options=OPTIONS)
        self.models = models_pb2_grpc.ModelServiceStub(self.channel)
        self.versions = versions_pb2_grpc.VersionServiceStub(self.channel)
        self.transfer = transfer_pb2_grpc.TransferServiceStub(self.channel)
        self.lifecycle = lifecycle_pb2_grpc.LifecycleServiceStub(self.channel)
        self.health: Any = health_pb2_grpc.HealthStub(self.channel)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()

    def create(self, model: str) -> str:
        """Registers a model."""
        return self.models.CreateModel(models_pb2.CreateModelRequest(name=model)).name

    def begin(self, model: str) -> str:
        """The id of a new upload."""
        return self.versions.BeginVersion(versions_pb2.BeginVersionRequest(model=model)).upload_id

    def missing(self, upload_id: str, digests: Iterable[bytes]) -> list[bytes]:
        """What the upload lacks."""
        request = transfer_pb2.FindMissingChunksRequest(upload_id=upload_id, digests=list(digests))
        return list(self.transfer.FindMissingChunks(request).missing)

    def send(self, upload_id: str, *chunks: transfer_pb2.Chunk) -> None:
        """Sends chunks and waits until they are durable."""
        list(self.transfer.UploadChunks(iter([opened(upload_id), *map(sent, chunks)])))

    def put(self, upload_id: str, *parts: transfer_pb2.FileEntry | transfer_pb2.ChunkList) -> int:
        """Records files."""
        return self.transfer.PutManifest(iter([put_opened(upload_id), *map(put_part, parts)])).files_total

    def commit(self, upload_id: str, *files: transfer_pb2.FileEntry) -> str:
        """Commits; returns the reference."""
        return self.versions.CommitVersion(
            versions_pb2.CommitVersionRequest(upload_id=upload_id, manifest_digest=manifest_of(*files))
        ).ref

    def push(self, model: str, *raws: bytes) -> str:
        """A version of one file, which has these chunks."""
        upload_id = self.begin(model)
        self.send(upload_id, *map(raw_chunk, raws))
        entry, chunks = file_of("weights.bin", *raws)
        self.put(upload_id, entry, chunks)
        return self.commit(upload_id, entry)

    def answers(self) -> bool:
        """Like ``serving``, and False when an answer does not come in time."""
        try:
            return self.serving()
        except grpc.RpcError as fault:
            if refusal_of(fault).code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            return False

    def serving(self) -> bool:
        """Whether the server answers within two seconds: health, and a call that asks the database."""
        healthy = self.health.Check(health_pb2.HealthCheckRequest(), timeout=2).status
        self.models.ListModels(models_pb2.ListModelsRequest(page_size=1), timeout=2)
        return bool(healthy == health_pb2.HealthCheckResponse.SERVING)


def raw_chunk(raw: bytes) -> transfer_pb2.Chunk:
    """A right chunk, as it is."""
    return transfer_pb2.Chunk(digest=chunk_digest(raw), raw_bytes=len(raw), codec=transfer_pb2.CODEC_RAW, payload=raw)


def chunk_ref(raw: bytes) -> transfer_pb2.ChunkRef:
    """Its entry in a list."""
    return transfer_pb2.ChunkRef(digest=chunk_digest(raw), raw_bytes=len(raw))


def file_of(path: str, *raws: bytes) -> tuple[transfer_pb2.FileEntry, transfer_pb2.ChunkList]:
    """A right file of these chunks."""
    root = file_root([ChunkRef(chunk_digest(raw), len(raw)) for raw in raws])
    entry = transfer_pb2.FileEntry(path=path, size_bytes=sum(map(len, raws)), root=root, chunks_total=len(raws))
    return entry, transfer_pb2.ChunkList(chunks=map(chunk_ref, raws))


def manifest_of(*files: transfer_pb2.FileEntry) -> str:
    """The manifest digest of files."""
    return format_digest(
        manifest_digest(FileSummary(file.path, file.size_bytes, file.root, file.chunks_total) for file in files)
    )


def opened(upload_id: str) -> Upload:
    """The first message of an upload stream."""
    return Upload(open=transfer_pb2.OpenUpload(upload_id=upload_id))


def sent(chunk: transfer_pb2.Chunk) -> Upload:
    """A later one."""
    return Upload(chunk=chunk)


def put_opened(upload_id: str) -> Put:
    """The first message of a manifest stream."""
    return Put(open=transfer_pb2.OpenUpload(upload_id=upload_id))


def put_part(part: transfer_pb2.FileEntry | transfer_pb2.ChunkList) -> Put:
    """A later one."""
    return Put(file=part) if isinstance(part, transfer_pb2.FileEntry) else Put(chunks=part)


@dataclass
class Refusal:
    """What a status says."""

    code: grpc.StatusCode
    reason: str = ""
    violations: list[tuple[str, str]] = field(default_factory=list)
    retry_after_s: float | None = None


def refusal_of(fault: Any) -> Refusal:
    """Reads the details of a status."""
    refusal = Refusal(fault.code())
    status = rpc_status.from_call(fault)
    for detail in status.details if status is not None else ():
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            refusal.reason = info.reason
        elif detail.Unpack(bad):
            refusal.violations = [(item.field, item.description) for item in bad.field_violations]
        elif detail.Unpack(retry):
            refusal.retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
    return refusal


def refused(call: Callable[[], Any]) -> Refusal:
    """Makes a call that must be refused."""
    with pytest.raises(grpc.RpcError) as fault:
        call()
    return refusal_of(fault.value)


def peak_bytes(server: RunningServer) -> int:
    """The most memory that the server's process has ever had."""
    assert server.process is not None
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:  # noqa: PTH123 - not a file
        (line,) = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@contextmanager
def silence() -> Iterator[Callable[..., Iterator[Any]]]:
    """Makes request iterators that, after their messages, say nothing until the block ends."""
    over = threading.Event()

    def then_nothing(*messages: Any) -> Iterator[Any]:
        yield from messages
        over.wait(PATIENCE_S)

    try:
        yield then_nothing
    finally:
        over.set()


def places_taken(client: RawClient, upload_id: str, count: int) -> list[Any] | None:
    """Begins uploads at once and holds them open; None when there is no place for one of them.

    Each is seen to run: the server has acknowledged a chunk of it.
    """
    calls: list[Any] = []
    over = threading.Event()
    for _ in range(count):
        calls.append(client.transfer.UploadChunks(_held_open(over, upload_id)))
        calls[-1].add_callback(over.set)
        try:
            next(calls[-1])
        except grpc.RpcError as fault:
            for call in calls:
                call.cancel()
            if refusal_of(fault).reason != "OVERLOADED":
                raise
            return None
    return calls


def _held_open(over: threading.Event, upload_id: str) -> Iterator[Upload]:
    yield opened(upload_id)
    yield sent(raw_chunk(os.urandom(16)))
    over.wait(PATIENCE_S)


def wait_until(condition: Callable[[], Any]) -> Any:
    """Asks again and again, for a while; returns the first answer that is one."""
    pause = threading.Event()
    for _ in range(PATIENCE_S * 20):
        if answer := condition():
            return answer
        pause.wait(0.05)
    raise AssertionError("it never came to be")


def all_places_free(client: RawClient, upload_id: str, count: int) -> None:
    """Waits until that many transfers can run at once, runs them and ends them."""
    for call in wait_until(lambda: places_taken(client, upload_id, count)):
        call.cancel()


def main(address: str, upload_id: str, count: str) -> None:
    """A process of its own: takes places, says so, and holds them until it is killed."""
    with RawClient(address) as client:
        held = places_taken(client, upload_id, int(count))
        print("holding" if held else "there was no place", flush=True)
        threading.Event().wait(PATIENCE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
