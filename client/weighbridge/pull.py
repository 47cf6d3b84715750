"""The way out: manifest, chunks, verify, write, publish."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import Digest, chunk_digest, format_digest, parse_digest
from weighbridge.core.errors import (
    ChunkMismatch,
    DataLoss,
    InvalidPath,
    InvalidReference,
    LimitExceeded,
    ManifestMismatch,
    Violation,
    WeighbridgeError,
)
from weighbridge.core.limits import PATH_BYTES
from weighbridge.core.manifest import FileManifest, check_file, check_manifest
from weighbridge.core.paths import check_paths
from weighbridge.core.refs import Ref, parse_ref, version_ref
from weighbridge.core.store import ChunkStore
from weighbridge.destination import Destination
from weighbridge.progress import Progress, tell_file
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
    """A version's manifest, checked: what it belongs to, paths, each list and root, and the manifest digest.

    Raises:
        DataLoss: the server sent a manifest that is not what it says, or not the one that was asked for.
        InvalidPath: it has paths that would lead outside of a folder, or that no version may hold.
        InvalidReference, ModelNotFound, VersionNotFound, AliasNotFound, Unavailable.
    """
    asked = parse_ref(ref)
    request = transfer_pb2.GetManifestRequest(ref=ref)
    files: list[FileManifest] = []
    try:
        with contextlib.closing(connection.stream(connection.transfer.GetManifest, request)) as responses:
            header, digest = _header(next(responses, None), asked)
            for file in file_stream.join(_parts(responses)):
                _check_path_length(file.path)
                check_file(file)
                files.append(file)
        totals = len(files), sum(file.size_bytes for file in files)
        if totals != (header.files_total, header.bytes_total):
            raise ManifestMismatch(
                f"it announces {header.files_total} files of {header.bytes_total} bytes "
                f"and has {totals[0]} of {totals[1]}"
            )
        check_manifest(files, digest)
    except (ManifestMismatch, LimitExceeded) as fault:
        raise DataLoss(
            f"{connection.address} sent a wrong manifest of {ref}: {fault.message}", details=fault.details
        ) from fault
    check_paths(file.path for file in files)
    return Manifest(header.model, header.version, header.ref, digest, files)


def _header(first: transfer_pb2.GetManifestResponse | None, asked: Ref) -> tuple[transfer_pb2.ManifestHeader, Digest]:
    """The header of a manifest, which must be of the version asked for, and the digest in it."""
    if first is None or first.WhichOneof("message") != "header":
        raise ManifestMismatch("it does not begin with its header" if first else "it is empty")
    header = first.header
    if (
        header.model != asked.model
        or header.version != (asked.version or max(header.version, 1))
        or header.ref != version_ref(header.model, header.version)
    ):
        raise ManifestMismatch(
            f"it says that it is version {header.version} of {header.model[:80]!r}, {header.ref[:80]!r}"
        )
    try:
        digest = parse_digest(header.manifest_digest)
    except InvalidReference as fault:
        raise ManifestMismatch(f"its digest is {header.manifest_digest[:80]!r}") from fault
    if asked.manifest not in (None, digest):
        raise ManifestMismatch(f"it says that its digest is {header.manifest_digest}")
    return header, digest


def _parts(responses: Iterator[transfer_pb2.GetManifestResponse]) -> Iterator[file_stream.Part]:
    for response in responses:
        kind = response.WhichOneof("message")
        if kind not in ("file", "chunks"):
            raise ManifestMismatch("it has a second header" if kind else "it has a message without content")
        yield response.file if kind == "file" else response.chunks


def _check_path_length(path: str) -> None:
    """All paths are checked together, at the end; this bounds the memory until then."""
    if len(path) > PATH_BYTES:
        what = f"is {len(path)} characters long; at most {PATH_BYTES} bytes are allowed"
        raise InvalidPath("a path cannot be held by a version", violations=[Violation(path[:80] + "…", what)])


class _Place(NamedTuple):
    """Where a chunk goes: the number of a file, the offset in it, and the length that its list states."""

    file: int
    offset: int
    raw_bytes: int


class _Places:
    """The places of each chunk that is lacking.

    Kept as one number a place: a version may have a million chunks, and as many lists of tuples would take
    more memory than all else that a pull keeps.
    """

    def __init__(self) -> None:
        self._first: dict[Digest, int] = {}
        self._others: dict[Digest, list[int]] = {}

    def add(self, digest: Digest, place: _Place) -> None:
        packed = (place.file << _OFFSET_BITS | place.offset) << _LENGTH_BITS | place.raw_bytes
        if self._first.setdefault(digest, packed) != packed:
            self._others.setdefault(digest, []).append(packed)

    def of(self, digest: Digest) -> list[_Place]:
        return [
            _Place(
                packed >> _LENGTH_BITS + _OFFSET_BITS,
                packed >> _LENGTH_BITS & (1 << _OFFSET_BITS) - 1,
                packed & (1 << _LENGTH_BITS) - 1,
            )
            for packed in (self._first[digest], *self._others.get(digest, ()))
        ]

    def remove(self, digest: Digest) -> None:
        del self._first[digest]
        self._others.pop(digest, None)

    def digests(self) -> list[Digest]:
        return list(self._first)


_LENGTH_BITS = 22
_OFFSET_BITS = 42
"""Both checked with the manifest: a chunk has at most 2 MiB, a file at most a million of them."""


def _lacking(destination: Destination, manifest: Manifest, progress: Progress) -> _Places:
    """What has to come over the wire: all but what an earlier pull left and is right when hashed again."""
    begun = destination.expect(manifest.files)
    places = _Places()
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
                places.add(ref.digest, _Place(index, offset, ref.raw_bytes))
            offset += ref.raw_bytes
    return places


def _fill(
    destination: Destination,
    manifest: Manifest,
    lacking: _Places,
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


def _patiently(make: Callable[[], Manifest], patience: Patience) -> Manifest:
    while True:
        try:
            return make()
        except WeighbridgeError as error:
            patience.pause_after(error)


def _verified(chunk: EncodedChunk, places: Sequence[_Place]) -> bytes:
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
