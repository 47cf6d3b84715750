"""The way out: manifest, chunks, verify, write, publish."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import Digest, chunk_digest, format_digest
from weighbridge.core.errors import (
    ChunkMismatch,
    DataLoss,
    WeighbridgeError,
)
from weighbridge.core.store import ChunkStore
from weighbridge.destination import Destination
from weighbridge.fetch import Manifest, fetch_manifest
from weighbridge.places import Place, Places
from weighbridge.progress import Progress, tell_file
from weighbridge.receipt import Receipt, save_receipt
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
    manifest = connection.patience().run(lambda: fetch_manifest(connection, ref))
    patience = connection.patience()
    progress.begin(len(manifest.files), sum(file.size_bytes for file in manifest.files))
    counts = _Counts()
    with Destination(folder, manifest.digest) as destination:
        lacking = _lacking(destination, manifest, progress)
        _fill(destination, manifest, lacking, RemoteStore(connection, ref=manifest.ref), patience, counts, progress)
        destination.settle()
        # Before the first file is in its place: a crash among the renames is then seen by verify.
        with contextlib.suppress(OSError):  # without a receipt, verify asks the server
            save_receipt(folder, Receipt(manifest.ref, manifest.digest, manifest.files))
        destination.publish()
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


def _lacking(destination: Destination, manifest: Manifest, progress: Progress) -> Places:
    """What has to come over the wire: all but what an earlier pull left and is right when hashed again."""
    begun = destination.expect(manifest.files)
    places = Places()
    for index, file in enumerate(manifest.files):
        if index in begun:
            tell_file(progress, file.path)
        offset = 0
        found = destination.read(index) if index in begun else iter(())
        for ref in file.chunks:
            raw = next(found, None)
            if raw is not None and chunk_digest(raw) == ref.digest:
                progress.advance(ref.raw_bytes, 0)
            else:
                places.add(ref.digest, Place(index, offset, ref.raw_bytes))
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
    while digests := lacking.digests():
        try:
            for chunk in store.get(digests):
                places = lacking.of(chunk.digest)
                raw = _verified(chunk, places)
                counts.chunks_received += 1
                counts.bytes_received += len(chunk.payload)
                lacking.remove(chunk.digest)
                tell_file(progress, manifest.files[places[0].file].path)
                for place in places:
                    destination.write(place.file, place.offset, raw)
                progress.advance(len(raw) * len(places), len(chunk.payload))
                patience.renew()
        except (ChunkMismatch, DataLoss) as fault:
            if isinstance(fault, DataLoss) and "path" in fault.details:  # the server names the place
                raise
            raise _loss(fault, manifest) from fault
        except WeighbridgeError as error:
            patience.pause_after(error)


def _verified(chunk: EncodedChunk, places: Sequence[Place]) -> bytes:
    """The chunk's raw bytes. Nothing of it is written or counted before this."""
    raw = open_chunk(chunk)
    for place in places:
        if place.raw_bytes != len(raw):  # it would leave a gap, or run over what follows
            name = format_digest(chunk.digest)
            what = f"chunk {name} has {len(raw)} bytes; the file's list says {place.raw_bytes}"
            raise ChunkMismatch(what, details={"digest": name})
    return raw


def _loss(fault: ChunkMismatch | DataLoss, manifest: Manifest) -> DataLoss:
    """What a wrong chunk means to a reader: the first place that it belongs to."""
    name = fault.details.get("digest", "")
    for file in manifest.files:
        for position, ref in enumerate(file.chunks):
            if format_digest(ref.digest) == name:
                return DataLoss(
                    f"{manifest.ref}: file {file.path!r}, chunk {position}: {fault.message}",
                    details={"path": file.path, "chunk": str(position), "digest": name},
                )
    return DataLoss(f"{manifest.ref}: {fault.message}", details=fault.details)
