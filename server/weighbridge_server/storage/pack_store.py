"""The server's chunk store: packs on a disk, found through the index.

Streams share a few open packs. A pack is sealed when it is full, when a stream that wrote into it ends,
or shortly after its last record, whichever comes first; ``pack_directory`` has the order of writes. Packs are sealed
in threads of their own, so that a stream goes on while the disk works; where many wait for it, streams wait too.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.errors import ChunkNotFound, DataLoss, StorageFailed, Unavailable, WeighbridgeError
from weighbridge.core.store import Ack
from weighbridge_server.storage.ack_queue import AckQueue
from weighbridge_server.storage.chunk_index import ChunkIndex, StoredChunk
from weighbridge_server.storage.failures import write_failure
from weighbridge_server.storage.pack_directory import PackDirectory, PackFile
from weighbridge_server.storage.pack_format import Damaged, read_record

PACK_BYTES = 64 * 1024 * 1024
PACK_RECORDS = 16_384
"""Each record of an open pack is held in memory with who waits for it: tiny chunks fill a pack sooner."""
OPEN_PACKS = 4
IDLE_SEAL_S = 0.2
SEALED_AT_ONCE = 4
MOST_UNSEALED = 8
"""Packs that are full and not yet durable; more hold back the streams that fill them."""

_log = logging.getLogger(__name__)


class PackStore:
    """Encoded chunks in packs. Safe to use from several threads."""

    def __init__(self, packs: PackDirectory, index: ChunkIndex, *, streams: int, stall_s: float = 60.0) -> None:
        """``streams``: how many ``put`` calls may run at once; more wait for one to end. ``stall_s``: how
        long a ``put`` waits for its next chunk or ack."""
        self._stall_s = stall_s
        self._packs = packs
        self._index = index
        self._slots = [_Slot(packs) for _ in range(OPEN_PACKS)]
        self._next_slot = itertools.cycle(self._slots)
        self._readers = ThreadPoolExecutor(streams, thread_name_prefix="chunk-intake")
        self._sealers = ThreadPoolExecutor(SEALED_AT_ONCE, thread_name_prefix="pack-sealer")
        self._unsealed = threading.Semaphore(MOST_UNSEALED)
        self._closing = threading.Event()
        self._idle_watch = threading.Thread(target=self._seal_idle_packs, name="idle-packs", daemon=True)
        self._idle_watch.start()

    def close(self) -> None:
        """Ends the intake and seals what is open."""
        self._closing.set()
        self._idle_watch.join()
        self._readers.shutdown(wait=True)
        for slot in self._slots:
            self._seal(slot.detach())
        self._sealers.shutdown(wait=True)

    def for_upload(self, upload_id: str, readable: Collection[str] | None = None) -> UploadView:
        """The store as one upload sees it; see ``ChunkStores``."""
        return UploadView(self, upload_id, readable)

    def missing(
        self, upload_id: str, digests: Sequence[Digest], readable: Collection[str] | None = None
    ) -> list[Digest]:
        """See ``UploadView.missing``."""
        return self._index.hold_present(upload_id, digests, readable)

    def put(self, upload_id: str, chunks: Iterable[EncodedChunk]) -> Iterator[Ack]:
        """See ``UploadView.put``."""
        acks = AckQueue(self._stall_s)
        try:
            self._readers.submit(self._take_in, upload_id, chunks, acks)
        except RuntimeError as fault:  # after close
            raise Unavailable("the server is stopping; send the chunks to it when it is back") from fault
        try:
            yield from acks
        finally:
            acks.abandon()

    def get(self, digests: Sequence[Digest]) -> Generator[EncodedChunk, None, None]:
        """See ``ChunkStore.get``. Where the chunks are is looked up now, and not with the first of them."""
        return self._get(digests, self._index.locate(digests))

    def _get(
        self, digests: Sequence[Digest], places: Mapping[Digest, StoredChunk]
    ) -> Generator[EncodedChunk, None, None]:
        for digest in digests:
            place = places.get(digest)
            if place is None:
                raise ChunkNotFound(
                    f"chunk {format_digest(digest)} is not stored here",
                    details={"digest": format_digest(digest)},
                )
            yield self._read(place)

    def _read(self, place: StoredChunk) -> EncodedChunk:
        entry = place.entry
        try:
            record = self._packs.read(place.pack_id, entry.offset, entry.record_bytes)
            return read_record(record, entry)
        except (Damaged, FileNotFoundError) as fault:
            if not self._packs.mounted:  # nothing is known about any chunk: mark none
                raise StorageFailed("the server's packs folder is not there; is its disk mounted?") from fault
            self._index.mark_damaged(entry.digest, place.pack_id)
            name = format_digest(entry.digest)
            _log.error("damaged chunk %s in pack %s: %s", name, place.pack_id, fault)
            raise DataLoss(f"chunk {name} is damaged where it is stored: {fault}", details={"digest": name}) from fault
        except OSError as fault:
            raise StorageFailed(f"cannot read pack {place.pack_id}: {fault}") from fault

    # -- intake --------------------------------------------------------------------------------

    def _take_in(self, upload_id: str, chunks: Iterable[EncodedChunk], acks: AckQueue) -> None:
        slot = next(self._next_slot)
        try:
            for chunk in chunks:
                if acks.abandoned:
                    break
                open_chunk(chunk)
                acks.verified(chunk.digest)
                acks.expect_durable()
                self._seal(slot.append(chunk, upload_id, acks))
            self._seal(slot.detach_if(acks))
            acks.finish()
        except Exception as fault:  # noqa: BLE001 - the stream's own thread raises and logs it
            acks.fail(fault)

    def _seal_idle_packs(self) -> None:
        while not self._closing.wait(IDLE_SEAL_S / 4):
            for slot in self._slots:
                self._seal(slot.detach_idle(time.monotonic() - IDLE_SEAL_S))

    def _seal(self, pack: _OpenPack | None) -> None:
        """Has a pack sealed; waits only while too many others are."""
        if pack is not None:
            self._unsealed.acquire()
            self._sealers.submit(self._seal_now, pack)

    def _seal_now(self, pack: _OpenPack) -> None:
        """Makes a pack durable and acknowledges its chunks, or fails the streams that wrote into it."""
        try:
            self._make_durable(pack)
        except Exception as fault:  # noqa: BLE001 - told to every stream that wrote into it
            _log.exception("abandoned pack %s", pack.file.id)
            pack.fail(write_failure("the server could not make a pack durable", fault))
        else:
            pack.acknowledge()
        finally:
            self._unsealed.release()

    def _make_durable(self, pack: _OpenPack) -> None:
        try:
            if self._index.new_ones([entry.digest for entry in pack.file.entries]):
                pack.file.seal()
            else:  # every chunk was here already, unknown to the caller: it is stored once
                pack.file.discard()
        except BaseException:
            pack.file.discard()
            raise
        # From here on the file stays whatever happens: a lost connection does not say whether the rows
        # were committed. Without rows it is garbage, and harmless.
        if pack.file.sealed:
            self._index.add_pack(pack.file.id, pack.file.size_bytes, pack.file.entries)
        for upload_id, digests in pack.digests_by_upload().items():
            self._index.hold(upload_id, digests)


class UploadView:
    """A ``ChunkStore`` bound to one upload."""

    def __init__(self, store: PackStore, upload_id: str, readable: Collection[str] | None) -> None:
        self._store = store
        self._upload_id = upload_id
        self._readable = readable

    def missing(self, digests: Sequence[Digest]) -> list[Digest]:
        """As the port says; what is present is held for the upload."""
        return self._store.missing(self._upload_id, digests, self._readable)

    def put(self, chunks: Iterable[EncodedChunk]) -> Iterator[Ack]:
        """As the port says; what is put is held for the upload."""
        return self._store.put(self._upload_id, chunks)

    def get(self, digests: Sequence[Digest]) -> Generator[EncodedChunk, None, None]:
        """As the port says."""
        return self._store.get(digests)


class _OpenPack:
    """A pack that is being filled, and who waits for which of its chunks."""

    def __init__(self, file: PackFile) -> None:
        self.file = file
        self._waiting: list[tuple[AckQueue, str, Digest]] = []

    def append(self, chunk: EncodedChunk, upload_id: str, acks: AckQueue) -> None:
        self.file.append(chunk)
        self._waiting.append((acks, upload_id, chunk.digest))

    def waits(self, acks: AckQueue) -> bool:
        return any(waiting is acks for waiting, _, _ in self._waiting)

    def digests_by_upload(self) -> dict[str, list[Digest]]:
        by_upload: dict[str, list[Digest]] = defaultdict(list)
        for _, upload_id, digest in self._waiting:
            by_upload[upload_id].append(digest)
        return by_upload

    def acknowledge(self) -> None:
        by_stream: dict[AckQueue, list[Digest]] = defaultdict(list)
        for acks, _, digest in self._waiting:
            by_stream[acks].append(digest)
        for acks, digests in by_stream.items():
            acks.durable(digests)

    def fail(self, fault: WeighbridgeError) -> None:
        for acks in {acks for acks, _, _ in self._waiting}:
            acks.fail(fault)


class _Slot:
    """A place for one open pack. Detaching takes the pack out, so that sealing blocks nobody."""

    def __init__(self, packs: PackDirectory) -> None:
        self._packs = packs
        self._lock = threading.Lock()
        self._pack: _OpenPack | None = None
        self._last_append = 0.0

    def append(self, chunk: EncodedChunk, upload_id: str, acks: AckQueue) -> _OpenPack | None:
        """Writes a chunk; returns the pack when that filled it."""
        with self._lock:
            try:
                if self._pack is None:
                    self._pack = _OpenPack(self._packs.create())
                self._pack.append(chunk, upload_id, acks)
            except OSError as fault:
                failure = write_failure("the server cannot write its chunk store", fault)
                self._abandon(failure)
                raise failure from fault
            self._last_append = time.monotonic()
            full = self._pack.file.size_bytes >= PACK_BYTES or len(self._pack.file.entries) >= PACK_RECORDS
            return self._take() if full else None

    def detach(self) -> _OpenPack | None:
        return self._detach_when(lambda pack: True)

    def detach_if(self, acks: AckQueue) -> _OpenPack | None:
        """The pack, when it holds a chunk of this stream."""
        return self._detach_when(lambda pack: pack.waits(acks))

    def detach_idle(self, since: float) -> _OpenPack | None:
        """The pack, when its last record is older than ``since`` (monotonic seconds)."""
        return self._detach_when(lambda pack: self._last_append < since)

    def _detach_when(self, condition: Callable[[_OpenPack], bool]) -> _OpenPack | None:
        with self._lock:
            return self._take() if self._pack is not None and condition(self._pack) else None

    def _abandon(self, failure: WeighbridgeError) -> None:
        broken = self._take()
        if broken is None:
            return
        with suppress(OSError):  # what cannot be written may not be deleted either: the next start does
            broken.file.discard()
        broken.fail(failure)

    def _take(self) -> _OpenPack | None:
        pack, self._pack = self._pack, None
        return pack
