"""The way in: read, cut, hash, ask, encode, send."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice

from weighbridge.core.chunking import Span, cut
from weighbridge.core.chunks import ChunkRef, EncodedChunk
from weighbridge.core.codec import encode_chunk
from weighbridge.core.digest import Digest, chunk_digest
from weighbridge.core.errors import Cancelled
from weighbridge.core.manifest import FileManifest, file_manifest
from weighbridge.core.store import ChunkStore, Held
from weighbridge.progress import Progress, tell_file
from weighbridge.source import Source, SourceReader
from weighbridge.wire.retry import Patience

_WINDOW = 16
"""Chunks that are read and hashed before the store is asked for all of them at once: 32 MiB in memory."""


@dataclass
class PushCounts:
    """What an upload sent so far; what had to be sent twice is counted twice."""

    bytes_sent: int = 0
    """Encoded payload."""
    chunks_sent: int = 0


@dataclass
class _File:
    """A file on its way in, and its chunks as far as they are known."""

    source: Source
    chunks: list[ChunkRef] = field(default_factory=list)


class FileUpload:
    """Brings files into a store; one thread at a time."""

    def __init__(
        self,
        store: ChunkStore,
        progress: Progress,
        patience: Callable[[], Patience],
        given_up: threading.Event,
    ) -> None:
        """``given_up``: once it is set, a running ``add`` raises ``Cancelled`` before its next chunk."""
        self.counts = PushCounts()
        self._store = store
        self._progress = progress
        self._patience = patience
        self._given_up = given_up
        self._settled: set[Digest] = set()
        """Chunks that the store said it holds for this upload, or acknowledged as durable."""
        self._sent: set[Digest] = set()
        """Chunks that the try that runs sends."""

    def add(self, sources: Sequence[Source]) -> list[FileManifest]:
        """Stores every chunk of these files durably and returns the files' chunk lists.

        When the store cannot be reached for a while, it goes on with what is not durable by then: what the
        store lacks is read from the file again.

        Raises:
            SourceChanged, SourceUnreadable: a file is not what it was when it was scanned.
            WeighbridgeError: the store failed. Nothing of it is visible; the same call can be made again.
        """
        self._progress.begin(len(sources), sum(source.size_bytes for source in sources))
        files = [_File(source) for source in sources]
        patience = self._patience()
        patience.run(lambda: self._send_what_lacks(files, patience))
        return [file_manifest(file.source.path, file.chunks) for file in files]

    def forget(self) -> None:
        """Takes nothing for settled any longer: the store has said that it lost chunks."""
        self._settled.clear()

    def _send_what_lacks(self, files: Sequence[_File], patience: Patience) -> None:
        self._sent.clear()
        with closing(self._chunks_of(files)) as chunks:
            first = next(chunks, None)
            if first is None:
                return  # no stream is opened that would carry nothing while the files are hashed
            for ack in self._store.put(chain((first,), chunks)):
                # A store that takes the same chunks again and again does not move.
                if ack.held is Held.DURABLE and not self._settled.issuperset(ack.digests):
                    self._settled.update(ack.digests)
                    patience.renew()

    def _chunks_of(self, files: Sequence[_File]) -> Generator[EncodedChunk, None, None]:
        """The chunks that the store lacks, while the files' lists are written down."""
        for file in files:
            tell_file(self._progress, file.source.path)
            with SourceReader(file.source) as reader:
                spans = cut(reader, file.source.size_bytes)
                position = 0
                while window := list(islice(spans, _WINDOW)):
                    yield from self._lacking(reader, file, position, window)
                    position += len(window)
                reader.check_unchanged()

    def _lacking(
        self, reader: SourceReader, file: _File, position: int, window: Sequence[Span]
    ) -> Iterator[EncodedChunk]:
        fresh: dict[int, bytes] = {}
        for number, span in enumerate(window, start=position):
            if number == len(file.chunks):  # not hashed by an earlier try
                raw = fresh[number] = reader.read_exactly(span.offset, span.size)
                file.chunks.append(ChunkRef(chunk_digest(raw), span.size))
        refs = file.chunks[position : position + len(window)]
        unasked = [ref.digest for ref in refs if ref.digest not in self._settled and ref.digest not in self._sent]
        self._check_wanted()
        missing = set(self._store.missing(list(dict.fromkeys(unasked)))) if unasked else set()
        self._settled.update(digest for digest in unasked if digest not in missing)
        self._sent |= missing
        for number, (span, ref) in enumerate(zip(window, refs, strict=True), start=position):
            self._check_wanted()
            moved = 0
            if ref.digest in missing:
                missing.discard(ref.digest)
                raw = fresh.get(number) or reader.read_again(span.offset, ref)
                encoded = encode_chunk(raw, ref.digest)
                moved = len(encoded.payload)
                self.counts.bytes_sent += moved
                self.counts.chunks_sent += 1
                yield encoded
            self._progress.advance(ref.raw_bytes if number in fresh else 0, moved)

    def _check_wanted(self) -> None:
        if self._given_up.is_set():
            raise Cancelled("the push was given up")
