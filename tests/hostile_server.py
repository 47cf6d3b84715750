"""A server whose answers a test writes: a real gRPC server, honest where the test does not say otherwise.

Also what those tests need around it: content with its manifest, and pulls in processes of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from weighbridge.core.chunks import ChunkRef, EncodedChunk
from weighbridge.core.codec import encode_chunk
from weighbridge.core.digest import Digest, chunk_digest, format_digest
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest, file_manifest, manifest_digest
from weighbridge.v1 import (
    models_pb2,
    models_pb2_grpc,
    records_pb2,
    transfer_pb2,
    transfer_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
)
from weighbridge.wire import file_stream
from weighbridge.wire.chunk_frame import download_frame

MODEL = "a.b.c"
REF = "a.b.c:1"

Answers = Iterator[transfer_pb2.GetManifestResponse]


@dataclass
class Content:
    """Files with their chunks, as a version holds them."""

    files: list[FileManifest] = field(default_factory=list)
    chunks: dict[Digest, EncodedChunk] = field(default_factory=dict)

    @staticmethod
    def of(files: Mapping[str, bytes], cut_bytes: int = CHUNK_BYTES) -> Content:
        """The content of files, cut every ``cut_bytes``."""
        content = Content()
        for path, raw in files.items():
            refs = []
            for start in range(0, len(raw), cut_bytes):
                piece = raw[start : start + cut_bytes]
                digest = chunk_digest(piece)
                content.chunks[digest] = encode_chunk(piece, digest)
                refs.append(ChunkRef(digest, len(piece)))
            content.files.append(file_manifest(path, refs))
        return content

    @property
    def digest(self) -> str:
        """Its manifest digest, as text."""
        return format_digest(manifest_digest(self.files))

    def header(self, **lies: Any) -> transfer_pb2.GetManifestResponse:
        """The first message of its manifest."""
        truth: dict[str, Any] = {
            "model": MODEL,
            "version": 1,
            "ref": REF,
            "manifest_digest": self.digest,
            "files_total": len(self.files),
            "bytes_total": sum(file.size_bytes for file in self.files),
        }
        return transfer_pb2.GetManifestResponse(header=transfer_pb2.ManifestHeader(**{**truth, **lies}))

    def listed(self) -> Answers:
        """The messages of its manifest after the header."""
        for part in file_stream.split(self.files):
            if isinstance(part, transfer_pb2.FileEntry):
                yield transfer_pb2.GetManifestResponse(file=part)
            else:
                yield transfer_pb2.GetManifestResponse(chunks=part)

    def version(self, **lies: Any) -> versions_pb2.Version:
        """It as a committed version."""
        truth: dict[str, Any] = {"model": MODEL, "version": 1, "ref": REF, "manifest_digest": self.digest, "stage": 1}
        return versions_pb2.Version(**{**truth, **lies})


def chunk_answer(chunk: EncodedChunk, **lies: Any) -> transfer_pb2.DownloadChunksResponse:
    """A chunk on its way out, with what the test would change."""
    answer = transfer_pb2.DownloadChunksResponse()
    answer.ParseFromString(download_frame(chunk))
    for name, value in lies.items():
        setattr(answer.chunk, name, value)
    return answer


def verified(*digests: Digest) -> transfer_pb2.UploadChunksResponse:
    """An ack."""
    return transfer_pb2.UploadChunksResponse(verified=transfer_pb2.ChunkAcks(digests=digests))


def durable(*digests: Digest) -> transfer_pb2.UploadChunksResponse:
    """An ack."""
    return transfer_pb2.UploadChunksResponse(durable=transfer_pb2.ChunkAcks(digests=digests))


def until_ended(context: grpc.ServicerContext) -> None:
    """Returns when the client has ended the call."""
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait()


class HostileServer(
    models_pb2_grpc.ModelServiceServicer,
    versions_pb2_grpc.VersionServiceServicer,
    transfer_pb2_grpc.TransferServiceServicer,
):
    """Serves one version of ``content``, and takes pushes; a context manager, on a port of its own.

    Each handler is an attribute: a test replaces the one that shall lie.
    """

    def __init__(
        self, content: Content | None = None, port: int = 0, interceptors: Sequence[grpc.ServerInterceptor] = ()
    ) -> None:
        self.content = content or Content()
        self.asked: list[Digest] = []
        """Every digest that was asked of DownloadChunks."""
        self.received: list[Digest] = []
        """Every chunk that came in."""
        self.calls: list[str] = []
        self.manifest: Callable[..., Answers] = self._manifest
        self.download: Callable[..., Iterator[transfer_pb2.DownloadChunksResponse]] = self._download
        self.upload: Callable[..., Iterator[transfer_pb2.UploadChunksResponse]] = self._upload
        self.put: Callable[..., transfer_pb2.PutManifestResponse] = self._put
        self.find_missing: Callable[..., Sequence[Digest]] = lambda request: list(request.digests)
        self.begin: Callable[..., versions_pb2.Upload] = lambda request: versions_pb2.Upload(
            upload_id="u", model=request.model
        )
        self.commit: Callable[..., versions_pb2.Version] = lambda request: self.content.version(
            manifest_digest=request.manifest_digest
        )
        self.resolve: Callable[..., versions_pb2.ResolveVersionResponse] = lambda _: (
            versions_pb2.ResolveVersionResponse(model=MODEL, version=1, ref=REF, manifest_digest=self.content.digest)
        )
        self.list_versions: Callable[..., versions_pb2.ListVersionsResponse] = lambda _: (
            versions_pb2.ListVersionsResponse(versions=[self.content.version()])
        )
        self.log_metrics: Callable[..., versions_pb2.LogMetricsResponse] = self._log_metrics
        self.metrics: Callable[..., Iterator[records_pb2.MetricCurve]] = lambda request, context: iter(())
        self.list_models: Callable[..., models_pb2.ListModelsResponse] = lambda _: models_pb2.ListModelsResponse()
        self._server = grpc.server(ThreadPoolExecutor(16), interceptors=list(interceptors))
        models_pb2_grpc.add_ModelServiceServicer_to_server(self, self._server)
        versions_pb2_grpc.add_VersionServiceServicer_to_server(self, self._server)
        transfer_pb2_grpc.add_TransferServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> HostileServer:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends every call at once and frees the port."""
        self._server.stop(None).wait(10)

    # -- the honest answers --------------------------------------------------------------------

    def _manifest(self, request: transfer_pb2.GetManifestRequest, context: grpc.ServicerContext) -> Answers:
        yield self.content.header()
        yield from self.content.listed()

    def _download(
        self, request: transfer_pb2.DownloadChunksRequest, context: grpc.ServicerContext
    ) -> Iterator[transfer_pb2.DownloadChunksResponse]:
        for digest in request.digests:
            yield chunk_answer(self.content.chunks[digest])

    def _upload(
        self, requests: Iterator[transfer_pb2.UploadChunksRequest], context: grpc.ServicerContext
    ) -> Iterator[transfer_pb2.UploadChunksResponse]:
        for digest in self.digests(requests):
            yield verified(digest)
            yield durable(digest)

    def digests(self, requests: Iterator[transfer_pb2.UploadChunksRequest]) -> Iterator[Digest]:
        """The chunks of an upload stream as they come."""
        for request in requests:
            if request.WhichOneof("message") == "chunk":
                self.received.append(request.chunk.digest)
                yield request.chunk.digest

    def _put(
        self, requests: Iterator[transfer_pb2.PutManifestRequest], context: grpc.ServicerContext
    ) -> transfer_pb2.PutManifestResponse:
        return transfer_pb2.PutManifestResponse(files_total=sum(request.HasField("file") for request in requests))

    def _log_metrics(
        self, request: versions_pb2.LogMetricsRequest, context: grpc.ServicerContext
    ) -> versions_pb2.LogMetricsResponse:
        points = sum(len(curve.values) for curve in request.curves)
        return versions_pb2.LogMetricsResponse(last_sequence=request.first_sequence + points - 1)

    # -- the calls -----------------------------------------------------------------------------

    def GetManifest(self, request: Any, context: Any) -> Any:
        """See ``manifest``."""
        return self.manifest(request, context)

    def DownloadChunks(self, request: Any, context: Any) -> Any:
        """See ``download``."""
        self.asked += request.digests
        return self.download(request, context)

    def UploadChunks(self, request_iterator: Any, context: Any) -> Any:
        """See ``upload``."""
        return self.upload(request_iterator, context)

    def PutManifest(self, request_iterator: Any, context: Any) -> Any:
        """See ``put``."""
        return self.put(request_iterator, context)

    def FindMissingChunks(self, request: Any, context: Any) -> Any:
        """See ``find_missing``."""
        return transfer_pb2.FindMissingChunksResponse(missing=self.find_missing(request))

    def BeginVersion(self, request: Any, context: Any) -> Any:
        """See ``begin``."""
        return self.begin(request)

    def CommitVersion(self, request: Any, context: Any) -> Any:
        """See ``commit``."""
        self.calls.append("commit")
        return self.commit(request)

    def AbortVersion(self, request: Any, context: Any) -> Any:
        """Always done."""
        self.calls.append("abort")
        return versions_pb2.AbortVersionResponse()

    def ResolveVersion(self, request: Any, context: Any) -> Any:
        """See ``resolve``."""
        return self.resolve(request)

    def ListVersions(self, request: Any, context: Any) -> Any:
        """See ``list_versions``."""
        return self.list_versions(request)

    def ListModels(self, request: Any, context: Any) -> Any:
        """See ``list_models``."""
        return self.list_models(request)

    def GetVersion(self, request: Any, context: Any) -> Any:
        """The version."""
        return self.content.version()

    UpdateVersion = DeleteVersion = RestoreVersion = GetVersion

    def LogMetrics(self, request: Any, context: Any) -> Any:
        """See ``log_metrics``."""
        return self.log_metrics(request, context)

    def GetMetrics(self, request: Any, context: Any) -> Any:
        """See ``metrics``."""
        return self.metrics(request, context)

    def CompareVersions(self, request: Any, context: Any) -> Any:
        """Nothing differs."""
        return versions_pb2.Comparison()

    def GetLineage(self, request: Any, context: Any) -> Any:
        """Nobody is related."""
        return versions_pb2.Lineage()

    def RenewUpload(self, request: Any, context: Any) -> Any:
        """The upload."""
        return versions_pb2.Upload(upload_id=request.upload_id, model=MODEL)

    def GetModel(self, request: Any, context: Any) -> Any:
        """A model of that name."""
        return models_pb2.Model(name=request.name)

    def CreateModel(self, request: Any, context: Any) -> Any:
        """A model of that name."""
        return models_pb2.Model(name=request.name)

    def UpdateModel(self, request: Any, context: Any) -> Any:
        """A model of that name."""
        return models_pb2.Model(name=request.name)

    DeleteModel = RestoreModel = UpdateModel

    def ReadFile(self, request: Any, context: Any) -> Any:
        """No bytes: nothing in the SDK calls it."""
        yield from ()


_PULL = """
import json, resource, sys
from weighbridge.client import Client
from weighbridge.core.errors import WeighbridgeError
from weighbridge.wire.connection import Connection

address, dest, file_limit, telling = sys.argv[1:]

def memory_kb(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

class Telling:
    def begin(self, files_total, bytes_total): pass
    def advance(self, raw_bytes, moved_bytes):
        if telling: print("advance", moved_bytes, flush=True)

if int(file_limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_limit), int(file_limit)))
client = Client(Connection(address, None, retry_limit_s=5, stall_timeout_s=20))
client.resolve("a.b.c:1")
baseline_kb = memory_kb("VmRSS")
with open("/proc/self/clear_refs", "w") as peak: peak.write("5")
answer = {}
try:
    pulled = client.pull_with_counts("a.b.c:1", dest, progress=Telling())
    answer["chunks_received"] = pulled.chunks_received
except WeighbridgeError as error:
    answer |= {"reason": error.reason, "message": error.message, "paths": [item.path for item in error.violations]}
answer["growth_mb"] = (memory_kb("VmHWM") - baseline_kb) / 1024
print(json.dumps(answer), flush=True)
"""


class PullProcess:
    """The SDK, pulling in a process of its own.

    Its peak memory is the kernel's ``VmHWM``, reset after the first call: ``ru_maxrss`` also counts the process
    that it was forked from.
    """

    def __init__(self, address: str, dest: Path, *, file_limit_bytes: int = 0, telling: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PULL, address, dest, str(file_limit_bytes), "yes" if telling else ""],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout

    def wait_for_chunks(self, number: int) -> None:
        """Returns when so many chunks are written to its disk."""
        for _ in range(number):
            assert self._out.readline().startswith("advance ")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(30)
        self._out.close()

    def answer(self) -> dict[str, Any]:
        """What came of it: ``chunks_received`` or ``reason`` and ``message``, and ``growth_mb``."""
        out, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, out
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
        return answer
