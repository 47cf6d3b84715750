"""The way in: read, cut, hash, ask, encode, send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from weighbridge.core.chunking import Span, cut
from weighbridge.core.chunks import ChunkRef, EncodedChunk
from weighbridge.core.codec import encode_chunk
from weighbridge.core.digest import Digest, chunk_digest
from weighbridge.core.manifest import FileManifest, file_manifest
from weighbridge.core.store import ChunkStore
from weighbridge.progress import Progress
from weighbridge.source import Source, SourceReader

_WINDOW = 16
"""Chunks that are read and hashed before the store is asked for all of them at once: 32 MiB in memory."""


@dataclass
class PushCounts:
    """What an upload moved so far."""

    bytes_total: int = 0
    bytes_sent: int = 0
    """Encoded payload."""
    chunks_total: int = 0
    chunks_sent: int = 0


@dataclass
class FileUpload:
    """Brings files into a store; one thread at a time."""

    store: ChunkStore
    progress: Progress
    counts: PushCounts = field(default_factory=PushCounts)
    _settled: set[Digest] = field(default_factory=set)
    """Chunks that the store has or is being sent: asked for once, sent once."""

    def add(self, sources: Sequence[Source]) -> list[FileManifest]:
        """Stores every chunk of these files durably and returns the files' chunk lists.

        Raises:
            SourceChanged, SourceUnreadable: a file is not what it was when it was scanned.
            WeighbridgeError: the store failed. Nothing of it is visible; the same call can be made again.
        """
        self.progress.begin(len(sources), sum(source.size_bytes for source in sources))
        files: list[FileManifest] = []
        settled_before = set(self._settled)
        try:
            for _ in self.store.put(self._chunks_of(sources, files)):
                pass  # the iteration ends when everything is durable
        except BaseException:
            self._settled = settled_before
            raise
        return files

    def _chunks_of(self, sources: Sequence[Source], files: list[FileManifest]) -> Iterator[EncodedChunk]:
        """The chunks that the store lacks, while the files' lists are written down."""
        for source in sources:
            chunks: list[ChunkRef] = []
            with SourceReader(source) as reader:
                spans = cut(reader, source.size_bytes)
                while window := list(islice(spans, _WINDOW)):
                    yield from self._lacking(reader, window, chunks)
                reader.check_unchanged()
            files.append(file_manifest(source.path, chunks))
            self.counts.bytes_total += source.size_bytes
            self.counts.chunks_total += len(chunks)

    def _lacking(self, reader: SourceReader, window: Sequence[Span], chunks: list[ChunkRef]) -> Iterator[EncodedChunk]:
        read: list[tuple[ChunkRef, bytes]] = []
        for span in window:
            raw = reader.read_exactly(span.offset, span.size)
            read.append((ChunkRef(chunk_digest(raw), span.size), raw))
        unasked = list(dict.fromkeys(ref.digest for ref, _ in read if ref.digest not in self._settled))
        missing = set(self.store.missing(unasked)) if unasked else set()
        self._settled.update(unasked)
        for ref, raw in read:
            chunks.append(ref)
            moved = 0
            if ref.digest in missing:
                missing.discard(ref.digest)
                encoded = encode_chunk(raw, ref.digest)
                moved = len(encoded.payload)
                self.counts.bytes_sent += moved
                self.counts.chunks_sent += 1
                yield encoded
            self.progress.advance(ref.raw_bytes, moved)
