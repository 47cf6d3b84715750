"""Every chunk store keeps the promises of ``weighbridge.core.store``: one suite, run on each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import RunningServer
from storage_fixtures import (
    NOBODY,
    acked,
    chunk,
    chunks,
    digests_of,
    file_of,
    open_storage,
    wrong_chunk,
)
from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.errors import ChunkMismatch, ChunkNotFound
from weighbridge.core.limits import CHUNK_BYTES, DIGESTS_PER_MESSAGE, UPLOAD_CREDIT_BYTES
from weighbridge.core.manifest import manifest_digest
from weighbridge.core.store import Ack, ChunkStore, Held
from weighbridge.v1 import models_pb2, transfer_pb2, versions_pb2
from weighbridge.wire.connection import Connection
from weighbridge.wire.file_stream import split
from weighbridge.wire.remote_store import RemoteStore

WAIT_S = 30
"""How long what must happen soon may take on a busy machine."""


@dataclass
class Place:
    """A store under test."""

    new: Callable[[], ChunkStore]
    """A view of its own: an upload's."""
    readable: Callable[[ChunkStore, Sequence[EncodedChunk]], ChunkStore]
    """Makes chunks that were put readable, and returns what reads them."""

    def missing_elsewhere(self, asked: Sequence[Digest]) -> list[Digest]:
        """What a view lacks that has put nothing."""
        return self.new().missing(asked)


@pytest.fixture
def packs(empty_database: str, tmp_path: Path) -> Iterator[Place]:
    """The server's packs on a disk, found through a real catalogue."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield Place(lambda: storage.store.for_upload(storage.begin()), lambda store, _: store)


@pytest.fixture
def remote(server: RunningServer, new_model: Callable[[], str]) -> Iterator[Place]:
    """A server at the other end of a channel."""
    yield from _remote(server, new_model())


@pytest.fixture
def tiny_credit(server: RunningServer, new_model: Callable[[], str]) -> Iterator[Place]:
    """The same with less credit than any chunk takes: every chunk waits for the ack of the one before."""
    yield from _remote(server, new_model(), credit_bytes=100)


def _remote(server: RunningServer, model: str, *, credit_bytes: int = UPLOAD_CREDIT_BYTES) -> Iterator[Place]:
    uploads: dict[int, str] = {}
    with ExitStack() as opened:
        connection = opened.enter_context(closing(Connection(server.address, None)))
        connection.call(connection.models.CreateModel, models_pb2.CreateModelRequest(name=model))

        def new() -> ChunkStore:
            request = versions_pb2.BeginVersionRequest(model=model)
            upload_id = connection.call(connection.versions.BeginVersion, request).upload_id
            store = RemoteStore(connection, upload_id=upload_id, credit_bytes=credit_bytes)
            uploads[id(store)] = upload_id
            return store

        def readable(store: ChunkStore, put: Sequence[EncodedChunk]) -> ChunkStore:
            upload_id, file = uploads[id(store)], file_of("weights.bin", put)
            requests = [transfer_pb2.PutManifestRequest(open=transfer_pb2.OpenUpload(upload_id=upload_id))]
            for part in split([file]):
                if isinstance(part, transfer_pb2.FileEntry):
                    requests.append(transfer_pb2.PutManifestRequest(file=part))
                else:
                    requests.append(transfer_pb2.PutManifestRequest(chunks=part))
            connection.send(connection.transfer.PutManifest, lambda: requests)
            commit = versions_pb2.CommitVersionRequest(
                upload_id=upload_id, manifest_digest=format_digest(manifest_digest([file]))
            )
            version = connection.call(connection.versions.CommitVersion, commit)
            return RemoteStore(connection, ref=version.ref)

        yield Place(new, readable)


@pytest.fixture(params=["packs", "remote", "tiny_credit"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each of the stores."""
    place: Place = request.getfixturevalue(request.param)
    return place


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    """Makes chunks that no other test has put: the server is shared."""
    return str(request.node.nodeid)


def test_a_chunk_is_missing_until_it_is_put(place: Place, seed: str) -> None:
    store, put = place.new(), chunks(seed, 3)
    assert store.missing(digests_of(put)) == digests_of(put)
    list(store.put(put[:2]))
    assert store.missing(digests_of(put)) == [put[2].digest]
    assert store.missing([]) == []


def test_missing_are_named_once_in_the_order_asked(place: Place, seed: str) -> None:
    store, (a, b, c, d) = place.new(), digests_of(chunks(seed, 4))
    list(store.put([chunk((seed, 1))]))
    assert store.missing([d, b, a, d, c, b, a]) == [d, a, c]


def test_more_digests_can_be_asked_for_than_one_message_holds(place: Place, seed: str) -> None:
    store, put = place.new(), chunk(seed)
    list(store.put([put]))
    unknown = [n.to_bytes(32, "big") for n in range(DIGESTS_PER_MESSAGE + 1)]
    assert store.missing([*unknown, put.digest, unknown[0]]) == unknown


def test_each_chunk_is_verified_then_durable(place: Place, seed: str) -> None:
    put = chunks(seed, 20)
    put += [put[3], put[3], put[19]]
    acks = list(place.new().put(put))
    assert acked(acks, Held.VERIFIED) == digests_of(put)
    assert sorted(acked(acks, Held.DURABLE)) == sorted(digests_of(put))
    verified: list[Digest] = []
    for ack in acks:
        if ack.held is Held.VERIFIED:
            verified += ack.digests
        else:
            assert set(ack.digests) <= set(verified)


def test_putting_nothing_acknowledges_nothing(place: Place) -> None:
    assert list(place.new().put([])) == []


def test_chunks_come_back_in_the_order_asked_with_repeats(place: Place, seed: str) -> None:
    store, put = place.new(), chunks(seed, 5)
    list(store.put(put))
    reader = place.readable(store, put)
    asked = [put[4], put[0], put[0], put[2], put[4]]
    assert list(reader.get(digests_of(asked))) == asked
    assert list(reader.get([])) == []


def test_a_chunk_that_is_not_there_is_not_found(place: Place, seed: str) -> None:
    store, put = place.new(), chunks(seed, 2)
    list(store.put(put))
    reader = place.readable(store, put)
    with pytest.raises(ChunkNotFound) as raised:
        list(reader.get([put[0].digest, NOBODY, put[1].digest]))
    assert raised.value.details["digest"] == format_digest(NOBODY)


class Interrupted(Exception):
    """What a source of chunks may fail with."""


@pytest.mark.parametrize("failure", [Interrupted("the training stopped"), OSError(5, "the disk is gone")])
def test_what_the_source_raises_put_raises(place: Place, seed: str, failure: Exception) -> None:
    store, put = place.new(), chunks(seed, 3)

    def failing() -> Iterator[EncodedChunk]:
        yield from put[:2]
        raise failure

    with pytest.raises(type(failure)) as raised:
        list(store.put(failing()))
    assert raised.value is failure
    # Nothing is half done: the same store takes all of it, and gives it back.
    assert set(digests_of(put)) == set(acked(store.put(put), Held.DURABLE))
    assert list(place.readable(store, put).get(digests_of(put))) == put


def test_of_a_wrong_chunk_nothing_is_kept(place: Place, seed: str) -> None:
    store, good, wrong = place.new(), chunk(seed), wrong_chunk((seed, "wrong"))
    with pytest.raises(ChunkMismatch) as raised:
        list(store.put([good, wrong]))
    assert raised.value.details["digest"] == format_digest(wrong.digest)
    assert store.missing([wrong.digest]) == [wrong.digest]
    right = chunk((seed, "wrong"))
    list(store.put([good, right]))
    assert list(place.readable(store, [good, right]).get([right.digest])) == [right]


def test_threads_share_a_store(place: Place, seed: str) -> None:
    store = place.new()
    parts = [chunks((seed, number), 10) for number in range(12)]

    def put(part: list[EncodedChunk]) -> list[Ack]:
        assert store.missing(digests_of(part)) == digests_of(part)
        return list(store.put(part))

    with ThreadPoolExecutor(len(parts)) as threads:
        for part, acks in zip(parts, threads.map(put, parts), strict=True):
            assert sorted(acked(acks, Held.DURABLE)) == sorted(digests_of(part))
        everything = [one for part in parts for one in part]
        reader = place.readable(store, everything)
        for part, read in zip(parts, threads.map(lambda part: list(reader.get(digests_of(part))), parts), strict=True):
            assert read == part


def test_streams_that_bring_the_same_chunks_at_once_all_succeed(place: Place, seed: str) -> None:
    put = chunks(seed, 50)
    stores = [place.new() for _ in range(3)] * 2  # two streams of each upload
    together = threading.Barrier(len(stores))

    def shuffled(number: int) -> Iterator[EncodedChunk]:
        together.wait(WAIT_S)
        yield from put[number * 7 :] + put[: number * 7]

    with ThreadPoolExecutor(len(stores)) as threads:
        running = [threads.submit(lambda n=n: list(stores[n].put(shuffled(n)))) for n in range(len(stores))]  # type: ignore[misc]
        for done in running:
            assert sorted(acked(done.result(), Held.DURABLE)) == sorted(digests_of(put))
    assert list(place.readable(stores[0], put).get(digests_of(put))) == put


def test_a_put_that_is_given_up_lets_go_of_its_source(place: Place, seed: str) -> None:
    store, let_go = place.new(), threading.Event()

    def endless() -> Iterator[EncodedChunk]:
        try:
            for number in range(1_000_000):
                yield chunk((seed, number))
        finally:
            let_go.set()

    acks = store.put(endless())
    assert next(acks).held is Held.VERIFIED
    acks.close()  # type: ignore[attr-defined]
    assert let_go.wait(WAIT_S)
    again = chunks((seed, "again"), 2)
    assert set(acked(store.put(again), Held.DURABLE)) == set(digests_of(again))


def test_a_put_whose_acks_nobody_reads_takes_nothing_in(place: Place, seed: str) -> None:
    taken: list[int] = []

    def source() -> Iterator[EncodedChunk]:
        taken.append(1)
        yield chunk(seed)

    store = place.new()
    for _ in range(100):
        store.put(source())
    assert set(acked(store.put([chunk(seed)]), Held.DURABLE)) == {chunk(seed).digest}
    assert taken == []


def test_the_largest_chunk_passes_whatever_the_credit(place: Place, seed: str) -> None:
    store, put = place.new(), chunks(seed, 2, CHUNK_BYTES)
    list(store.put(put))
    read = list(place.readable(store, put).get(digests_of(put)))
    assert read == put
    assert [len(open_chunk(one)) for one in read] == [CHUNK_BYTES] * 2


def test_with_little_credit_one_chunk_is_on_its_way_at_a_time(tiny_credit: Place, seed: str) -> None:
    produced = 0

    def source() -> Iterator[EncodedChunk]:
        nonlocal produced
        for one in chunks(seed, 8):
            produced += 1
            yield one

    verified = 0
    for ack in tiny_credit.new().put(source()):
        if ack.held is Held.VERIFIED:
            # One is on its way, and its successor waits for the credit.
            assert produced <= verified + 2
            verified += 1
    assert verified == 8
