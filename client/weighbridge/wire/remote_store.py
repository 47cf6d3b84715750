"""The chunk store at the other end of a channel."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.errors import DataLoss, StorageFailed, WeighbridgeError
from weighbridge.core.limits import DIGESTS_PER_MESSAGE, UPLOAD_CREDIT_BYTES
from weighbridge.core.store import Ack, Held
from weighbridge.given_up import GivenUp
from weighbridge.v1 import transfer_pb2
from weighbridge.wire import convert
from weighbridge.wire.chunk_frame import upload_frame
from weighbridge.wire.connection import Connection
from weighbridge.wire.credit import Credit


class RemoteStore:
    """A ``ChunkStore`` on a server: an upload's for ``missing`` and ``put``, a version's for ``get``."""

    def __init__(
        self,
        connection: Connection,
        *,
        upload_id: str = "",
        ref: str = "",
        credit_bytes: int = UPLOAD_CREDIT_BYTES,
        given_up: GivenUp | None = None,
        lane: int = 0,
    ) -> None:
        """``given_up``: ends every call. ``lane``: which connection streams take."""
        self._lane = connection.lane(lane)
        self._given_up = given_up or GivenUp()
        self._connection = connection
        self._upload_id = upload_id
        self._ref = ref
        self._credit_bytes = credit_bytes

    def missing(self, digests: Sequence[Digest]) -> list[Digest]:
        """See ``ChunkStore.missing``."""
        missing: list[Digest] = []
        for start in range(0, len(digests), DIGESTS_PER_MESSAGE):
            asked = digests[start : start + DIGESTS_PER_MESSAGE]
            request = transfer_pb2.FindMissingChunksRequest(upload_id=self._upload_id, digests=asked)
            answered = set(
                self._connection.call(
                    self._connection.transfer.FindMissingChunks, request, given_up=self._given_up
                ).missing
            )
            missing += [digest for digest in asked if digest in answered]  # and nothing that was not asked
        return list(dict.fromkeys(missing))

    def put(self, chunks: Iterable[EncodedChunk]) -> Iterator[Ack]:
        """See ``ChunkStore.put``. What ``chunks`` raises, this raises.

        Acks that tell nothing new (of chunks that were not sent, or twice) are dropped.

        Raises:
            DeadlineExceeded: the server owes acks and sends none.
            StorageFailed: it ended the stream without having acknowledged everything as durable.
        """
        sending = _Sending(self._upload_id, chunks, Credit(self._credit_bytes))
        call = self._connection.open(self._lane.upload, sending)
        try:
            with self._given_up.ending(call.cancel), self._connection.watched(call, sending.owing_since):
                for response in call:
                    ack = sending.acknowledged(_ack(response))
                    if ack.digests:
                        yield ack
        except WeighbridgeError:
            if sending.failure is not None:
                raise sending.failure from None
            raise
        finally:
            call.cancel()
            sending.stop()
        if sending.failure is not None:
            raise sending.failure
        if not sending.settled:
            raise StorageFailed(
                f"{self._connection.address} ended an upload before it had taken every chunk and made it durable"
            )

    def get(self, digests: Sequence[Digest]) -> Generator[EncodedChunk, None, None]:
        """See ``ChunkStore.get``. A server that sends another chunk than the next one asked for is refused."""
        for start in range(0, len(digests), DIGESTS_PER_MESSAGE):
            asked = digests[start : start + DIGESTS_PER_MESSAGE]
            request = transfer_pb2.DownloadChunksRequest(ref=self._ref, digests=asked)
            with closing(self._connection.stream(self._lane.download, request, self._given_up)) as responses:
                for digest in asked:
                    response = next(responses, None)
                    chunk = response.chunk if isinstance(response, transfer_pb2.DownloadChunksResponse) else response
                    if chunk is None or chunk.digest != digest:
                        name = format_digest(digest)
                        raise DataLoss(
                            f"{self._connection.address} did not send chunk {name} of {self._ref} when it was due",
                            details={"digest": name},
                        )
                    yield chunk if isinstance(chunk, EncodedChunk) else convert.chunk_value(chunk)


class _Sending:
    """The requests of one upload stream, made in gRPC's own thread at the pace of the credit."""

    def __init__(self, upload_id: str, chunks: Iterable[EncodedChunk], credit: Credit) -> None:
        self.failure: BaseException | None = None
        self.credit = credit
        self._upload_id = upload_id
        self._chunks = chunks
        self._lock = threading.Lock()
        self._unverified: dict[Digest, list[int]] = {}
        """The bytes of payload of each sending whose credit the server has not returned."""
        self._not_durable: Counter[Digest] = Counter()
        self._all_sent = False
        self._moved = time.monotonic()
        self._turn = threading.Lock()
        self._stopped = False
        self._requests = self._make_requests()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._turn:
            if self._stopped:
                raise StopIteration
            return next(self._requests)

    def stop(self) -> None:
        """Ends the making of requests. When it returns, no code of ``chunks`` runs any more.

        gRPC's thread may still be inside ``chunks`` when its call has failed, and the caller is about to
        begin another: two at once would confuse what the one has sent with what the other has.
        """
        self._stopped = True
        self.credit.close()
        with self._turn:
            self._requests.close()

    def _make_requests(self) -> Generator[bytes, None, None]:
        opening = transfer_pb2.OpenUpload(upload_id=self._upload_id)
        yield transfer_pb2.UploadChunksRequest(open=opening).SerializeToString()
        try:
            for chunk in self._chunks:
                size_bytes = len(chunk.payload)
                if not self.credit.take(size_bytes):
                    return
                with self._lock:
                    self._unverified.setdefault(chunk.digest, []).append(size_bytes)
                    self._not_durable[chunk.digest] += 1
                    self._moved = time.monotonic()
                yield upload_frame(chunk)
            with self._lock:
                self._all_sent, self._moved = True, time.monotonic()
        except Exception as failure:  # noqa: BLE001 - gRPC would swallow it; put() raises it
            self.failure = failure

    @property
    def settled(self) -> bool:
        """Whether everything was sent and is durable."""
        with self._lock:
            return self._all_sent and not self._not_durable

    def owing_since(self) -> float | None:
        """Since when the server has owed acks, or the end of the stream, and moved nothing."""
        with self._lock:
            return self._moved if self._all_sent or self._not_durable else None

    def acknowledged(self, ack: Ack) -> Ack:
        """Takes note; returns what of it is new. What is durable is verified too."""
        take = self._take_verified if ack.held is Held.VERIFIED else self._take_durable
        with self._lock:
            news = [digest for digest in ack.digests if take(digest)]
            if news:
                self._moved = time.monotonic()
        return Ack(ack.held, news)

    def _take_verified(self, digest: Digest) -> bool:
        sizes = self._unverified.get(digest)
        if not sizes:
            return False
        self.credit.give_back(sizes.pop())
        if not sizes:
            del self._unverified[digest]
        return True

    def _take_durable(self, digest: Digest) -> bool:
        if digest not in self._not_durable:
            return False
        self._not_durable[digest] -= 1
        while len(self._unverified.get(digest, ())) > self._not_durable[digest]:
            self._take_verified(digest)
        if not self._not_durable[digest]:
            del self._not_durable[digest]
        return True


def _ack(response: transfer_pb2.UploadChunksResponse) -> Ack:
    if response.WhichOneof("message") == "verified":
        return Ack(Held.VERIFIED, tuple(response.verified.digests))
    return Ack(Held.DURABLE, tuple(response.durable.digests))
