"""``TransferService`` on the domain."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.manifest import FileSummary
from weighbridge.core.store import Ack, Held
from weighbridge.core.values import Version
from weighbridge.v1 import transfer_pb2, transfer_pb2_grpc
from weighbridge.wire import convert, file_stream
from weighbridge.wire.chunk_frame import download_frame
from weighbridge_server.domain.registry.reading import Reading
from weighbridge_server.domain.registry.uploads import Uploads
from weighbridge_server.services.actor import actor_of, caller_of
from weighbridge_server.services.handlers import Serialized

_READ_PIECE_BYTES = 1024 * 1024
_FRAMED_AT_ONCE = 4
"""Streams that read a chunk and copy it into its frame: for that moment they hold it twice."""


class TransferServicer(transfer_pb2_grpc.TransferServiceServicer):
    """See ``transfer.proto``."""

    def __init__(self, uploads: Uploads, reading: Reading) -> None:
        self._uploads = uploads
        self._reading = reading
        self._framing = threading.Semaphore(_FRAMED_AT_ONCE)

    def FindMissingChunks(
        self, request: transfer_pb2.FindMissingChunksRequest, context: grpc.ServicerContext
    ) -> transfer_pb2.FindMissingChunksResponse:
        caller = caller_of(context)
        missing = self._uploads.find_missing(caller.actor, request.upload_id, request.digests, caller.readable)
        return transfer_pb2.FindMissingChunksResponse(missing=missing)

    def UploadChunks(
        self, request_iterator: Iterator[_UploadRequest], context: grpc.ServicerContext
    ) -> Iterator[transfer_pb2.UploadChunksResponse]:
        upload_id = opened_upload(next(request_iterator, None))
        for ack in self._uploads.receive(actor_of(context), upload_id, _chunks(request_iterator)):
            yield _ack_message(ack)

    def PutManifest(
        self, request_iterator: Iterator[transfer_pb2.PutManifestRequest], context: grpc.ServicerContext
    ) -> transfer_pb2.PutManifestResponse:
        upload_id = opened_upload(next(request_iterator, None))
        files = file_stream.join(_parts(request_iterator))
        files_total = self._uploads.put_manifest(actor_of(context), upload_id, files)
        return transfer_pb2.PutManifestResponse(files_total=files_total)

    def GetManifest(
        self, request: transfer_pb2.GetManifestRequest, context: grpc.ServicerContext
    ) -> Iterator[transfer_pb2.GetManifestResponse]:
        version, parts = self._reading.manifest(request.ref, files_only=request.files_only)
        yield transfer_pb2.GetManifestResponse(header=_header(version))
        for part in parts:
            if isinstance(part, FileSummary):
                yield transfer_pb2.GetManifestResponse(file=convert.file_message(part))
            else:
                yield transfer_pb2.GetManifestResponse(chunks=convert.chunk_list_message(part))

    def DownloadChunks(  # type: ignore[override]
        self, request: transfer_pb2.DownloadChunksRequest, context: grpc.ServicerContext
    ) -> Iterator[transfer_pb2.DownloadChunksResponse | Serialized]:
        chunks = self._reading.chunks(request.ref, request.digests)
        # No variable here holds a frame on its way: a stream whose client is slow holds it once.
        return iter(lambda: self._next_frame(chunks), None)

    def _next_frame(self, chunks: Iterator[EncodedChunk]) -> Serialized | None:
        with self._framing:
            chunk = next(chunks, None)
            return None if chunk is None else Serialized(download_frame(chunk))

    def ReadFile(
        self, request: transfer_pb2.ReadFileRequest, context: grpc.ServicerContext
    ) -> Iterator[transfer_pb2.ReadFileResponse]:
        for raw in self._reading.read_file(request.ref, request.path, request.offset_bytes, request.limit_bytes):
            for start in range(0, len(raw), _READ_PIECE_BYTES):
                yield transfer_pb2.ReadFileResponse(data=raw[start : start + _READ_PIECE_BYTES])


_UploadRequest = transfer_pb2.UploadChunksRequest | EncodedChunk
"""A chunk comes as a value where its frame is the usual one."""


def opened_upload(first: _UploadRequest | transfer_pb2.PutManifestRequest | None) -> str:
    """The id of the upload that the first message of a stream opens. Raises: InvalidRequest."""
    if first is None or isinstance(first, EncodedChunk) or not first.open.upload_id:
        raise _out_of_place("the first message must be 'open'")
    return first.open.upload_id


def _chunks(requests: Iterator[_UploadRequest]) -> Iterator[EncodedChunk]:
    return map(_chunk, requests)


def _chunk(request: _UploadRequest) -> EncodedChunk:
    if isinstance(request, EncodedChunk):
        return request
    if request.WhichOneof("message") != "chunk":
        raise _out_of_place("'open' comes once, first")
    return convert.chunk_value(request.chunk)


def _parts(requests: Iterator[transfer_pb2.PutManifestRequest]) -> Iterator[file_stream.Part]:
    for request in requests:
        kind = request.WhichOneof("message")
        if kind == "open":
            raise _out_of_place("'open' comes once, first")
        yield request.file if kind == "file" else request.chunks


def _out_of_place(what: str) -> InvalidRequest:
    return InvalidRequest("the stream's messages are out of order", violations=[Violation("message", what)])


def _ack_message(ack: Ack) -> transfer_pb2.UploadChunksResponse:
    acks = transfer_pb2.ChunkAcks(digests=ack.digests)
    if ack.held is Held.VERIFIED:
        return transfer_pb2.UploadChunksResponse(verified=acks)
    return transfer_pb2.UploadChunksResponse(durable=acks)


def _header(version: Version) -> transfer_pb2.ManifestHeader:
    return transfer_pb2.ManifestHeader(
        model=version.model,
        version=version.version,
        ref=version.ref,
        manifest_digest=format_digest(version.manifest),
        files_total=version.files_total,
        bytes_total=version.bytes_total,
    )
