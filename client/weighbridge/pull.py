"""The way out: manifest, chunks, verify, write, publish."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from weighbridge.core.chunks import Buffer, EncodedChunk
from weighbridge.core.codec import open_chunk, prepare
from weighbridge.core.digest import Digest, chunk_digest, format_digest
from weighbridge.core.errors import (
    ChunkMismatch,
    DataLoss,
    Overloaded,
    WeighbridgeError,
)
from weighbridge.core.limits import DIGESTS_PER_MESSAGE
from weighbridge.core.store import ChunkStore
from weighbridge.destination import Destination
from weighbridge.fetch import Manifest, fetch_manifest
from weighbridge.places import Place, Places
from weighbridge.progress import Progress, tell_file
from weighbridge.receipt import Receipt, save_receipt
from weighbridge.wire.connection import LANES, Connection
from weighbridge.wire.remote_store import RemoteStore
from weighbridge.wire.retry import Patience

_SHARES_A_LANE = 2
_SMALLEST_SHARE = 16
"""Chunks are asked for in shares, so that a lane which is quicker gets more, and not in many: each is a call."""


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
    with Destination(folder, manifest.digest) as destination:
        lacking = _lacking(destination, manifest, progress)
        filling = _Filling(destination, manifest, lacking, patience, progress)
        filling.run([RemoteStore(connection, ref=manifest.ref, lane=lane) for lane in range(LANES)])
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
        bytes_received=filling.counts.bytes_received,
        chunks_total=sum(len(file.chunks) for file in manifest.files),
        chunks_received=filling.counts.chunks_received,
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


class _Filling:
    """Writes every lacking chunk to every place where it belongs; each comes over the wire once."""

    def __init__(
        self, destination: Destination, manifest: Manifest, lacking: Places, patience: Patience, progress: Progress
    ) -> None:
        self.counts = _Counts()
        self._destination = destination
        self._manifest = manifest
        self._lacking = lacking
        self._patience = patience
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = False
        self._failures: list[BaseException] = []
        """What lanes failed with, in the order of time."""

    def run(self, lanes: Sequence[ChunkStore]) -> None:
        """Brings everything, on several streams at once."""
        prepare()
        while digests := self._lacking.digests():
            shares = queue.SimpleQueue[Sequence[Digest]]()
            size = min(max(-(-len(digests) // (_SHARES_A_LANE * len(lanes))), _SMALLEST_SHARE), DIGESTS_PER_MESSAGE)
            for start in range(0, len(digests), size):
                shares.put(digests[start : start + size])
            self._stopped = False
            self._failures = []
            with ThreadPoolExecutor(len(lanes), thread_name_prefix="weighbridge-receive") as receivers:
                for lane in lanes:
                    receivers.submit(self._receive, lane, shares)
            failures = self._failures
            if failures and all(isinstance(failure, Overloaded) for failure in failures) and len(lanes) > len(failures):
                lanes = lanes[: len(lanes) - len(failures)]  # the server has fewer places than we wanted
            elif failures:
                self._pause_after(failures)

    def _pause_after(self, failures: Sequence[BaseException]) -> None:
        for failure in failures:
            # The server names the place of what it found damaged; what was found here is named here.
            if isinstance(failure, ChunkMismatch | DataLoss) and "path" not in failure.details:
                raise _loss(failure, self._manifest) from failure
            if not isinstance(failure, WeighbridgeError) or not failure.retryable:
                raise failure
        assert isinstance(failures[0], WeighbridgeError)
        self._patience.pause_after(failures[0])

    def _receive(self, lane: ChunkStore, shares: queue.SimpleQueue[Sequence[Digest]]) -> None:
        """Takes share after share until none is left, or another lane failed."""
        try:
            while not self._stopped:
                try:
                    digests = shares.get_nowait()
                except queue.Empty:
                    return
                with closing(lane.get(digests)) as chunks:
                    for chunk in chunks:
                        self._place(chunk)
                        if self._stopped:
                            return
        except BaseException as failure:  # noqa: BLE001 - raised when the other lanes have ended
            self._failures.append(failure)
            if not isinstance(failure, Overloaded):  # the others go on
                self._stopped = True

    def _place(self, chunk: EncodedChunk) -> None:
        places = self._lacking.of(chunk.digest)
        raw = _verified(chunk, places)
        for place in places:
            self._destination.write(place.file, place.offset, raw)
        with self._lock:
            self.counts.chunks_received += 1
            self.counts.bytes_received += len(chunk.payload)
            self._lacking.remove(chunk.digest)
            self._patience.renew()
        tell_file(self._progress, self._manifest.files[places[0].file].path)
        self._progress.advance(len(raw) * len(places), len(chunk.payload))


def _verified(chunk: EncodedChunk, places: Sequence[Place]) -> Buffer:
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
