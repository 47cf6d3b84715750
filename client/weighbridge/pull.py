"""The way out: manifest, chunks, verify, write, publish."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import Digest, chunk_digest, format_digest, parse_digest
from weighbridge.core.errors import ChunkMismatch, DataLoss, ManifestMismatch, WeighbridgeError
from weighbridge.core.manifest import FileManifest, check_file, check_manifest
from weighbridge.core.paths import check_paths
from weighbridge.core.store import ChunkStore
from weighbridge.destination import Destination
from weighbridge.progress import Progress
from weighbridge.receipt import Receipt, save_receipt
from weighbridge.v1 import transfer_pb2
from weighbridge.wire import file_stream
from weighbridge.wire.connection import Connection
from weighbridge.wire.remote_store import RemoteStore
from weighbridge.wire.retry import Patience


@dataclass(frozen=True)
class Pulled:
    """A version that was pulled, and what that took."""

    ref: str
    version: int
    manifest: Digest
    path: Path
    files_total: int
    bytes_total: int
    bytes_received: int
    """Encoded payload that came over the wire."""
    chunks_total: int
    chunks_received: int
    seconds: float


@dataclass(frozen=True)
class Manifest:
    """A version's files with their chunk lists, checked against its digest."""

    model: str
    version: int
    ref: str
    digest: Digest
    files: Sequence[FileManifest]


@dataclass
class _Counts:
    bytes_received: int = 0
    chunks_received: int = 0


def pull_version(connection: Connection, ref: str, folder: Path, progress: Progress) -> Pulled:
    """Brings every file of a version under ``folder``, verified, or changes nothing there.

    Raises:
        DataLoss: bytes are not what was pushed; names the file and the chunk.
        DestinationUnwritable: the folder cannot be written.
        InvalidReference, ModelNotFound, VersionNotFound, AliasNotFound, Unavailable.
    """
    began = time.monotonic()
    manifest = _patiently(lambda: fetch_manifest(connection, ref), connection.patience())
    patience = connection.patience()
    progress.begin(len(manifest.files), sum(file.size_bytes for file in manifest.files))
    counts = _Counts()
    with Destination(folder, manifest.digest) as destination:
        lacking = _lacking(destination, manifest, progress)
        _fill(destination, manifest, lacking, RemoteStore(connection, ref=manifest.ref), patience, counts, progress)
        destination.publish()
    with contextlib.suppress(OSError):  # without a receipt, verify asks the server
        save_receipt(folder, Receipt(manifest.ref, manifest.digest, manifest.files))
    return Pulled(
        ref=manifest.ref,
        version=manifest.version,
        manifest=manifest.digest,
        path=folder,
        files_total=len(manifest.files),
        bytes_total=sum(file.size_bytes for file in manifest.files),
        bytes_received=counts.bytes_received,
        chunks_total=sum(len(file.chunks) for file in manifest.files),
        chunks_received=counts.chunks_received,
        seconds=time.monotonic() - began,
    )


def fetch_manifest(connection: Connection, ref: str) -> Manifest:
    """A version's manifest, checked: paths, each root, and the manifest digest.

    Raises:
        DataLoss: the server sent a manifest that is not what it says.
        InvalidReference, ModelNotFound, VersionNotFound, AliasNotFound, Unavailable.
    """
    request = transfer_pb2.GetManifestRequest(ref=ref)
    responses = connection.stream(connection.transfer.GetManifest, request)
    header = next(responses).header
    try:
        files = list(file_stream.join(_parts(responses)))
        for file in files:
            check_file(file)
        digest = parse_digest(header.manifest_digest)
        check_manifest(files, digest)
    except ManifestMismatch as fault:
        raise DataLoss(f"{connection.address} sent a wrong manifest of {header.ref}: {fault.message}") from fault
    check_paths(file.path for file in files)
    return Manifest(header.model, header.version, header.ref, digest, files)


def _parts(responses: Iterator[transfer_pb2.GetManifestResponse]) -> Iterator[file_stream.Part]:
    for response in responses:
        yield response.file if response.WhichOneof("message") == "file" else response.chunks


Places = dict[Digest, list[tuple[int, int]]]
"""Where each chunk goes: numbers of files, and offsets in them."""


def _lacking(destination: Destination, manifest: Manifest, progress: Progress) -> Places:
    """What has to come over the wire: all but what an earlier pull left and is right when hashed again."""
    begun = destination.expect(manifest.files)
    places: Places = defaultdict(list)
    for index, file in enumerate(manifest.files):
        offset = 0
        found = destination.read(index) if index in begun else iter(())
        for ref in file.chunks:
            raw = next(found, None)
            if raw is not None and chunk_digest(raw) == ref.digest:
                progress.advance(ref.raw_bytes, 0)
            else:
                places[ref.digest].append((index, offset))
            offset += ref.raw_bytes
    return places


def _fill(
    destination: Destination,
    manifest: Manifest,
    lacking: Places,
    store: ChunkStore,
    patience: Patience,
    counts: _Counts,
    progress: Progress,
) -> None:
    """Writes every lacking chunk to every place where it belongs; each comes over the wire once."""
    while lacking:
        try:
            for chunk in store.get(list(lacking)):
                raw = _verified(chunk, manifest)
                counts.chunks_received += 1
                counts.bytes_received += len(chunk.payload)
                places = lacking.pop(chunk.digest)
                for index, offset in places:
                    destination.write(index, offset, raw)
                progress.advance(len(raw) * len(places), len(chunk.payload))
                patience.renew()
        except WeighbridgeError as error:
            patience.pause_after(error)


def _patiently(make: Callable[[], Manifest], patience: Patience) -> Manifest:
    while True:
        try:
            return make()
        except WeighbridgeError as error:
            patience.pause_after(error)


def _verified(chunk: EncodedChunk, manifest: Manifest) -> bytes:
    """The chunk's raw bytes. Nothing of it is written or counted before this."""
    try:
        return open_chunk(chunk)
    except ChunkMismatch as fault:
        path, position = next(
            (file.path, position)
            for file in manifest.files
            for position, ref in enumerate(file.chunks)
            if ref.digest == chunk.digest
        )
        raise DataLoss(
            f"{manifest.ref}: file {path!r}, chunk {position}: {fault.message}",
            details={"path": path, "chunk": str(position), "digest": format_digest(chunk.digest)},
        ) from fault
