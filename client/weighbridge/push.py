"""The way in: what a store lacks is read ahead (``lacking``), encoded and sent, on several streams at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from weighbridge.buffers import Buffers
from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.codec import encode_chunk, prepare
from weighbridge.core.digest import Digest
from weighbridge.core.errors import Cancelled
from weighbridge.core.manifest import FileManifest, file_manifest
from weighbridge.core.store import ChunkStore, Held
from weighbridge.given_up import GivenUp
from weighbridge.lacking import FileUnderWay, Lacking, LackingChunks
from weighbridge.lanes import Lanes
from weighbridge.progress import Progress
from weighbridge.source import Source
from weighbridge.wire.retry import Patience

_WORTH_A_LANE = 4
"""Chunks that have to wait before another stream is opened for them."""


@dataclass
class PushCounts:
    """What an upload sent so far; what had to be sent twice is counted twice."""

    bytes_sent: int = 0
    """Encoded payload."""
    chunks_sent: int = 0


class FileUpload:
    """Brings files into a store; one thread at a time."""

    def __init__(
        self,
        lanes: Sequence[ChunkStore],
        progress: Progress,
        patience: Callable[[], Patience],
        given_up: GivenUp,
    ) -> None:
        """Begins nothing yet.

        Args:
            lanes: the same store, each on a connection of its own: as many streams carry chunks at once.
            progress: is told what is done.
            patience: for how long the store may be out of reach.
            given_up: once it is set, a running ``add`` raises ``Cancelled`` at once.
        """
        self.counts = PushCounts()
        self._lanes = Lanes(lanes, "weighbridge-send", given_up)
        self._progress = progress
        self._patience = patience
        self._given_up = given_up
        self._buffers = Buffers()
        self._settled: set[Digest] = set()
        """Chunks that the store said it holds for this upload, or acknowledged as durable."""
        self._sent: set[Digest] = set()
        """Chunks that the try that runs sends."""
        self._lock = threading.Lock()

    def add(self, sources: Sequence[Source]) -> list[FileManifest]:
        """Stores every chunk of these files durably and returns the files' chunk lists.

        When the store cannot be reached for a while, it goes on with what is not durable by then: what the
        store lacks is read from the file again.

        Raises:
            SourceChanged, SourceUnreadable: a file is not what it was when it was scanned.
            WeighbridgeError: the store failed. Nothing of it is visible; the same call can be made again.
        """
        self._progress.begin(len(sources), sum(source.size_bytes for source in sources))
        files = [FileUnderWay(source) for source in sources]
        patience = self._patience()
        while not patience.run(lambda: self._send_what_lacks(files, patience)):
            pass
        return [file_manifest(file.source.path, file.chunks) for file in files]

    def forget(self) -> None:
        """Takes nothing for settled any longer: the store has said that it lost chunks."""
        self._settled.clear()

    def _send_what_lacks(self, files: Sequence[FileUnderWay], patience: Patience) -> bool:
        """Whether everything is settled; if not, fewer lanes will carry the rest."""
        self._sent.clear()
        with (
            LackingChunks(files, self._missing, self._buffers, self._progress) as lacking,
            self._given_up.ending(lacking.stop),
        ):
            self._lanes.run(lambda lane, number: self._send(lane, number, lacking, patience), lacking.stop)
        self._check_wanted()  # or it may have ended for no other reason
        return self._sent <= self._settled

    def _send(self, lane: ChunkStore, number: int, lacking: LackingChunks, patience: Patience) -> None:
        first = lacking.take(number * _WORTH_A_LANE)
        if first is None:
            return  # no stream is opened that would carry nothing while the files are hashed
        prepare()
        for ack in lane.put(self._encoded(chain((first,), iter(lacking.take, None)))):
            # A store that takes the same chunks again and again does not move.
            with self._lock:
                if ack.held is Held.DURABLE and not self._settled.issuperset(ack.digests):
                    self._settled.update(ack.digests)
                    patience.renew()

    def _encoded(self, chunks: Iterator[Lacking]) -> Iterator[EncodedChunk]:
        for chunk in chunks:
            try:
                self._check_wanted()
                encoded = encode_chunk(chunk.raw, chunk.ref.digest, chunk.dtype)
                moved = len(encoded.payload)
                with self._lock:
                    self.counts.bytes_sent += moved
                    self.counts.chunks_sent += 1
                chunk.file.tell(self._progress, chunk.number, moved)
                yield encoded
            finally:
                self._buffers.give_back(chunk.raw)

    def _missing(self, digests: Sequence[Digest]) -> set[Digest]:
        """Those that have to be sent by the try that runs."""
        self._check_wanted()
        with self._lock:
            unasked = [digest for digest in digests if digest not in self._settled and digest not in self._sent]
        missing = set(self._lanes.first.missing(list(dict.fromkeys(unasked)))) if unasked else set()
        with self._lock:
            self._settled.update(digest for digest in unasked if digest not in missing)
            self._sent |= missing
        return missing

    def _check_wanted(self) -> None:
        if self._given_up.is_set():
            raise Cancelled("the push was given up")
