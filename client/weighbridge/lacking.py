"""What a store lacks of some files: read, cut, hashed and asked for, ahead of those who send it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from types import TracebackType

from weighbridge.buffers import Buffers
from weighbridge.core.chunking import Span, cut
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import Digest, chunk_digest
from weighbridge.progress import Progress, tell_file
from weighbridge.source import Source, SourceReader

_WINDOW_KEPT_BYTES = 32 * 1024 * 1024
_WINDOW_BYTES = 512 * 1024 * 1024
_WINDOW_CHUNKS = 4096
"""What is read and hashed before the store is asked for all of it at once: by what of it is kept in memory, by its
size, or by its number of chunks."""

_AHEAD = 12
"""Chunks that wait to be sent: enough that senders seldom wait for the store to be asked."""


_HASHERS = 2
_HASHED_TOGETHER = 8
"""Threads that read and hash, and the chunks of a file that they get at once: what a store knows already is pushed as
fast as it is hashed."""


@dataclass
class FileUnderWay:
    """A file on its way in, and its chunks as far as they are known."""

    source: Source
    chunks: list[ChunkRef] = field(default_factory=list)
    _told: bytearray = field(default_factory=bytearray)
    """For each chunk, whether a progress knows that it is done."""

    def add(self, chunk: ChunkRef) -> None:
        """The next chunk is known."""
        self.chunks.append(chunk)
        self._told.append(0)

    def tell(self, progress: Progress, number: int, moved_bytes: int) -> None:
        """A chunk is done; when it has to be sent again, the file does not grow by that."""
        raw_bytes = 0 if self._told[number] else self.chunks[number].raw_bytes
        self._told[number] = 1
        progress.advance(raw_bytes, moved_bytes)


@dataclass(slots=True)
class Lacking:
    """A chunk that has to be sent. Whoever takes it gives ``raw`` back to the buffers."""

    file: FileUnderWay
    number: int
    """Which of the file's chunks it is."""
    raw: memoryview
    dtype: str | None

    @property
    def ref(self) -> ChunkRef:
        """Its entry in the file's list."""
        return self.file.chunks[self.number]


@dataclass(slots=True)
class _Piece:
    """A chunk of a file before it is known whether the store has it; ``raw`` where it was read just now."""

    file: FileUnderWay
    number: int
    span: Span
    raw: memoryview | None

    @property
    def ref(self) -> ChunkRef:
        return self.file.chunks[self.number]


class _Stopped(Exception):
    """Nobody takes any more."""


class LackingChunks:
    """Chunks that a store lacks. A context manager; iterated by any number of threads, each chunk goes to one.

    A few threads read and hash, one asks, and all are ahead of the senders by a bounded number of chunks.
    What reading or asking raises, each iteration raises.
    """

    def __init__(
        self,
        files: Sequence[FileUnderWay],
        missing: Callable[[Sequence[Digest]], set[Digest]],
        buffers: Buffers,
        progress: Progress,
    ) -> None:
        """``missing``: which of these have to be sent; asked once for each window of chunks."""
        self._files = files
        self._missing = missing
        self._buffers = buffers
        self._progress = progress
        self._keep = True
        """Whether what is hashed stays in memory until the store is asked. What follows chunks that it knows it most
        likely knows too: that is hashed as it comes, in memory that stays hot, and read again where it was not so."""
        self._waiting: list[Lacking] = []
        self._ended = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="weighbridge-read", daemon=True)

    def __enter__(self) -> LackingChunks:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Ends the reading and every iteration; what is not taken yet is not sent."""
        with self._changed:
            self._ended = True
            for lacking in self._waiting:
                self._buffers.give_back(lacking.raw)
            self._waiting.clear()
            self._changed.notify_all()

    def take(self, beyond: int = 0) -> Lacking | None:
        """The next chunk, once more than ``beyond`` wait; None when so many never will."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) > beyond or self._ended)
            if len(self._waiting) > beyond:
                self._changed.notify_all()
                return self._waiting.pop(0)
            if self._failure is not None:
                raise self._failure
            return None

    # -- the reading thread --------------------------------------------------------------------

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            for lacking in self._lacking():
                if not self._offer(lacking):
                    self._buffers.give_back(lacking.raw)
                    break
        except _Stopped:
            pass
        except BaseException as fault:  # noqa: BLE001 - raised by those who iterate
            failure = fault
        with self._changed:
            self._failure = failure
            self._ended = True
            self._changed.notify_all()

    def _offer(self, lacking: Lacking) -> bool:
        """Puts a chunk where senders take it, once there is room; False when nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _AHEAD or self._ended)
            if self._ended:
                return False
            self._waiting.append(lacking)
            self._changed.notify_all()
            return True

    def _lacking(self) -> Iterator[Lacking]:
        # The store is asked for one window while the next is read.
        with (
            ThreadPoolExecutor(_HASHERS, thread_name_prefix="weighbridge-hash") as hashers,
            ThreadPoolExecutor(1, thread_name_prefix="weighbridge-ask") as asker,
        ):
            asked: tuple[list[_Piece], Future[set[Digest]]] | None = None
            for window in _windows(self._pieces(hashers)):
                answer = asker.submit(self._missing, [piece.ref.digest for piece in window])
                if asked is not None:
                    yield from self._chosen(*asked)
                asked = window, answer
            if asked is not None:
                yield from self._chosen(*asked)

    def _pieces(self, hashers: ThreadPoolExecutor) -> Iterator[_Piece]:
        """Every chunk of every file; those that no earlier try has hashed are read and written down."""
        for file in self._files:
            tell_file(self._progress, file.source.path)
            with SourceReader(file.source) as reader:
                spans = enumerate(cut(reader, file.source.size_bytes))
                while batch := list(islice(spans, _HASHED_TOGETHER)):
                    if self._ended:  # a window is up to half a gigabyte: not for nobody
                        raise _Stopped
                    known = [(number, span) for number, span in batch if number < len(file.chunks)]
                    yield from (_Piece(file, number, span, None) for number, span in known)
                    fresh = batch[len(known) :]
                    hashing = hashers.map if len(fresh) > 1 else map
                    for (number, span), (raw, ref) in zip(
                        fresh, hashing(partial(self._hash, reader), (span for _, span in fresh)), strict=True
                    ):
                        file.add(ref)
                        yield _Piece(file, number, span, raw)
                reader.check_unchanged()

    def _hash(self, reader: SourceReader, span: Span) -> tuple[memoryview | None, ChunkRef]:
        raw = self._buffers.take(span.size)
        reader.read_into(raw, span.offset)
        ref = ChunkRef(chunk_digest(raw), span.size)
        if self._keep:
            return raw, ref
        self._buffers.give_back(raw)
        return None, ref

    def _chosen(self, window: Sequence[_Piece], answer: Future[set[Digest]]) -> Iterator[Lacking]:
        """The chunks of a window that are missing, each once."""
        missing = answer.result()
        self._keep = bool(missing)
        for piece in window:
            if piece.ref.digest in missing:
                missing.discard(piece.ref.digest)
                raw = piece.raw if piece.raw is not None else self._read_again(piece)
                yield Lacking(piece.file, piece.number, raw, piece.span.dtype)
            else:
                if piece.raw is not None:
                    self._buffers.give_back(piece.raw)
                piece.file.tell(self._progress, piece.number, 0)

    def _read_again(self, piece: _Piece) -> memoryview:
        with SourceReader(piece.file.source) as reader:
            raw = self._buffers.take(piece.ref.raw_bytes)
            reader.read_again(raw, piece.span.offset, piece.ref)
            return raw


def _windows(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    window: list[_Piece] = []
    size_bytes = kept_bytes = 0
    for piece in pieces:
        window.append(piece)
        size_bytes += piece.ref.raw_bytes
        kept_bytes += piece.ref.raw_bytes if piece.raw is not None else 0
        if kept_bytes >= _WINDOW_KEPT_BYTES or size_bytes >= _WINDOW_BYTES or len(window) >= _WINDOW_CHUNKS:
            yield window
            window, size_bytes, kept_bytes = [], 0, 0
    if window:
        yield window
