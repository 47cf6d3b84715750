"""Filling a destination: each lacking chunk from wherever it is nearest, verified, to every place where it belongs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from weighbridge.cache import ChunkCache
from weighbridge.core.chunks import Buffer, EncodedChunk
from weighbridge.core.codec import open_chunk, prepare
from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.errors import ChunkMismatch, DataLoss
from weighbridge.core.limits import DIGESTS_PER_MESSAGE
from weighbridge.core.store import ChunkStore
from weighbridge.fetch import Manifest
from weighbridge.given_up import GivenUp, results
from weighbridge.lanes import Lanes
from weighbridge.places import Place, Places
from weighbridge.progress import Progress, tell_file
from weighbridge.wire.retry import Patience

_SHARES_A_LANE = 2
_SMALLEST_SHARE = 16
"""Chunks are asked for in shares, so that a lane which is quicker gets more, and not in many: each is a call."""


class LocalChunks(Protocol):
    """A place on this machine that may have chunks. What it gives is verified like any other."""

    def read(self, digest: Digest) -> EncodedChunk | None:
        """A chunk, unverified; None when it is not there."""
        ...


class Sink(Protocol):
    """Where chunks go once they are verified: files, memory."""

    def write(self, index: int, offset: int, raw: Buffer) -> None:
        """Takes a chunk, whole, for this offset in file number ``index``; from several threads at once."""
        ...


@dataclass
class PullCounts:
    """What came over the wire."""

    bytes_received: int = 0
    """Encoded payload."""
    chunks_received: int = 0


class Filling:
    """Brings the lacking chunks of one pull or load; each comes over the wire once."""

    def __init__(
        self,
        destination: Sink,
        manifest: Manifest,
        lacking: Places,
        cache: ChunkCache,
        patience: Patience,
        progress: Progress,
        given_up: GivenUp,
        *,
        keep: bool,
    ) -> None:
        """Brings nothing yet.

        Args:
            destination: takes each chunk at every place of it.
            manifest: names the files of the places.
            lacking: what to bring; what came is taken out.
            cache: of chunks.
            patience: for how long the store may be out of reach.
            progress: is told what is done.
            given_up: set when a call of this is interrupted; must end the calls of the stores that it is given.
            keep: whether what comes over the wire is kept in the cache.
        """
        self.counts = PullCounts()
        self._cache = cache
        self._keep = keep
        self._destination = destination
        self._manifest = manifest
        self._lacking = lacking
        self._patience = patience
        self._progress = progress
        self._lock = threading.Lock()
        self._given_up = given_up
        self._stopped = False

    def take_from(self, local: LocalChunks, threads: int) -> None:
        """Takes what a place on this machine has and is right; what is not stays lacking.

        ``threads``: how many may read from it at once.
        """
        digests = iter(self._lacking.digests())

        def read() -> None:
            while not self._given_up.is_set() and (digest := next(digests, None)) is not None:
                self._take(local, digest)

        with self._given_up.threads(threads, "weighbridge-local") as readers:
            results(readers.submit(read) for _ in range(threads))

    def _take(self, local: LocalChunks, digest: Digest) -> None:
        chunk = local.read(digest)
        if chunk is None:
            return
        try:
            places, raw = self._place(chunk)
        except ChunkMismatch:
            if local is self._cache:
                self._cache.forget(digest)
        else:
            self._tell(places, raw, 0)

    def bring(self, stores: Sequence[ChunkStore]) -> None:
        """Brings everything that is still lacking, on several streams at once.

        Raises:
            DataLoss: a chunk is not what was pushed; names the file and the chunk.
            DestinationUnwritable: it cannot be written.
            WeighbridgeError: the store failed for longer than the patience lasts.
        """
        lanes = Lanes(stores, "weighbridge-receive", self._given_up)
        while self._lacking.digests():
            self._patience.run(lambda: self._bring(lanes))

    def _bring(self, lanes: Lanes) -> None:
        digests = self._lacking.digests()
        if len(digests) > _SMALLEST_SHARE:
            prepare()
        shares = queue.SimpleQueue[Sequence[Digest]]()
        size = min(max(-(-len(digests) // (_SHARES_A_LANE * len(lanes))), _SMALLEST_SHARE), DIGESTS_PER_MESSAGE)
        for start in range(0, len(digests), size):
            shares.put(digests[start : start + size])
        self._stopped = False
        try:
            lanes.run(lambda lane, _: self._receive(lane, shares), self._stop)
        except (ChunkMismatch, DataLoss) as fault:
            # The server names the place of what it found damaged; what was found here is named here.
            if "path" in fault.details:
                raise
            raise _loss(fault, self._manifest) from fault

    def _stop(self) -> None:
        self._stopped = True

    def _receive(self, lane: ChunkStore, shares: queue.SimpleQueue[Sequence[Digest]]) -> None:
        """Takes share after share until none is left, or another lane failed."""
        while not self._stopped:
            try:
                digests = shares.get_nowait()
            except queue.Empty:
                return
            with closing(lane.get(digests)) as chunks:
                for chunk in chunks:
                    self._receive_one(chunk)
                    if self._stopped:
                        return

    def _receive_one(self, chunk: EncodedChunk) -> None:
        places, raw = self._place(chunk)
        if self._keep:
            self._cache.add(chunk)
        with self._lock:
            self.counts.chunks_received += 1
            self.counts.bytes_received += len(chunk.payload)
            self._patience.renew()
        self._tell(places, raw, len(chunk.payload))

    def _place(self, chunk: EncodedChunk) -> tuple[Sequence[Place], Buffer]:
        """Verifies a chunk and writes it wherever it belongs."""
        places = self._lacking.of(chunk.digest)
        raw = _verified(chunk, places)
        for place in places:
            self._destination.write(place.file, place.offset, raw)
        with self._lock:
            self._lacking.remove(chunk.digest)
        return places, raw

    def _tell(self, places: Sequence[Place], raw: Buffer, moved_bytes: int) -> None:
        tell_file(self._progress, self._manifest.files[places[0].file].path)
        self._progress.advance(len(raw) * len(places), moved_bytes)


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
