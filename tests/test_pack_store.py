"""Packs on a disk: when they are sealed, what is stored once, what failures and damage leave."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from storage_fixtures import Storage, acked, chunk, chunks, digests_of, file_of, open_storage
from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.errors import DataLoss, StorageFailed, StorageFull, Unavailable
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.store import Ack, Held
from weighbridge_server.storage import pack_store
from weighbridge_server.storage.catalog_index import CatalogIndex
from weighbridge_server.storage.pack_format import Damaged, read_pack_index

WAIT_S = 30


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on a disk of its own."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


@pytest.fixture
def patient(empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Storage with one open pack, which is sealed for being idle after a minute only."""
    monkeypatch.setattr(pack_store, "IDLE_SEAL_S", 60.0)
    monkeypatch.setattr(pack_store, "OPEN_PACKS", 1)
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


class Paused:
    """A source that gives chunks and then stays open until it is told to end."""

    def __init__(self, of: Sequence[EncodedChunk]) -> None:
        self._of = of
        self._drained = threading.Event()
        self._end = threading.Event()
        self.ended = False

    def __iter__(self) -> Iterator[EncodedChunk]:
        yield from self._of
        self._drained.set()
        assert self._end.wait(WAIT_S)
        self.ended = True

    def drained(self) -> None:
        """Waits until the store has written every chunk and asks for more."""
        assert self._drained.wait(WAIT_S)

    def end(self) -> None:
        """Lets it end."""
        self._end.set()


def test_an_idle_pack_is_sealed_while_its_stream_stays_open(storage: Storage) -> None:
    put = chunks("idle", 3)
    source = Paused(put)
    acks = storage.store.put(storage.begin(), source)
    verified: list[Digest] = []
    while len(verified) < 3:
        verified += acked([next(acks)], Held.VERIFIED)
    assert verified == digests_of(put)
    durable: list[Digest] = []
    while len(durable) < 3:
        durable += acked([next(acks)], Held.DURABLE)
    assert not source.ended
    assert sorted(durable) == sorted(digests_of(put))
    assert list(storage.store.get(digests_of(put))) == put
    source.end()
    assert list(acks) == []


def test_a_full_pack_is_sealed_while_its_stream_stays_open(patient: Storage) -> None:
    put = chunks("full", 33, CHUNK_BYTES)
    source = Paused(put)
    acks = patient.store.put(patient.begin(), source)
    seen: list[Ack] = []
    while not acked(seen, Held.DURABLE):
        seen.append(next(acks))
    assert not source.ended
    assert acked(seen, Held.DURABLE) == digests_of(put[:32])
    (full,) = patient.pack_files()
    assert 64 * 1024 * 1024 <= full.stat().st_size < 64 * 1024 * 1024 + 10_000
    source.end()
    assert acked(acks, Held.DURABLE) == digests_of(put[32:])


def test_the_end_of_one_stream_makes_what_shares_its_pack_durable(patient: Storage) -> None:
    first, second = chunk("first"), chunk("second")
    source = Paused([first])
    acks = patient.store.put(patient.begin(), source)
    assert acked([next(acks)], Held.VERIFIED) == [first.digest]
    source.drained()
    assert acked(patient.store.put(patient.begin("bob"), [second]), Held.DURABLE) == [second.digest]
    assert acked([next(acks)], Held.DURABLE) == [first.digest]
    assert len(patient.pack_files()) == 1
    source.end()
    assert list(acks) == []


def test_what_is_stored_already_is_not_stored_again(storage: Storage) -> None:
    put = chunks("twice", 5)
    storage.send(storage.begin("ada"), put)
    before = storage.pack_files()
    of_bob = storage.begin("bob")
    assert storage.uploads.find_missing("bob", of_bob, digests_of(put)) == digests_of(put)
    assert sorted(acked(storage.send(of_bob, put, "bob"), Held.DURABLE)) == sorted(digests_of(put))
    assert storage.pack_files() == before
    assert storage.unfinished() == []
    # And yet bob's upload holds them: a version can be made of them.
    assert storage.commit(of_bob, [file_of("weights.bin", put)], "bob").bytes_total == 5000


def test_a_digest_may_come_twice_into_one_pack(patient: Storage) -> None:
    one, other = chunk("one"), chunk("other")
    assert len(acked(patient.store.put(patient.begin(), [one, other, one]), Held.DURABLE)) == 3
    assert list(patient.store.get([one.digest, other.digest])) == [one, other]
    assert patient.sql("SELECT count(*) FROM chunk") == [(2,)]


# -- damage ------------------------------------------------------------------------------------


def _flip(storage: Storage, of: EncodedChunk) -> None:
    storage.damage(of.digest)


def _cut_short(storage: Storage, of: EncodedChunk) -> None:
    (pack,) = storage.pack_files()
    os.truncate(pack, 40)


def _remove(storage: Storage, of: EncodedChunk) -> None:
    (pack,) = storage.pack_files()
    pack.unlink()


@pytest.mark.parametrize("damage", [_flip, _cut_short, _remove])
def test_a_damaged_chunk_is_never_served_and_healed_by_the_next_push(
    storage: Storage, damage: Callable[[Storage, EncodedChunk], None]
) -> None:
    good = chunk("damaged")
    storage.push({"weights.bin": [good]})
    damage(storage, good)
    with pytest.raises(DataLoss) as raised:
        list(storage.store.get([good.digest]))
    assert raised.value.details["digest"] == format_digest(good.digest)
    assert storage.sql("SELECT damaged FROM chunk") == [(True,)]
    upload_id = storage.begin()
    assert storage.uploads.find_missing("ada", upload_id, [good.digest]) == [good.digest]
    storage.send(upload_id, [good])
    assert storage.sql("SELECT damaged FROM chunk") == [(False,)]
    assert list(storage.store.get([good.digest])) == [good]
    assert storage.uploads.find_missing("ada", upload_id, [good.digest]) == []
    assert b"".join(storage.reading.read_file("vision.defects.resnet:1", "weights.bin", 0, 0))


def test_damage_that_was_healed_meanwhile_is_not_marked_again(storage: Storage) -> None:
    good = chunk("healed")
    storage.push({"weights.bin": [good]})
    ((old,),) = storage.sql("SELECT pack_id FROM chunk")
    storage.damage(good.digest)
    with pytest.raises(DataLoss):
        list(storage.store.get([good.digest]))
    storage.send(storage.begin(), [good])
    # A read that began before found the damage in the old pack, and says so only now.
    CatalogIndex(storage.catalog.database).mark_damaged(good.digest, old)
    assert storage.sql("SELECT damaged FROM chunk") == [(False,)]


# -- failures of the disk ----------------------------------------------------------------------


@contextmanager
def no_file_longer_than(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to write further into a file: EFBIG, which stands for a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_fails_every_stream_of_the_pack_and_the_store_goes_on(patient: Storage) -> None:
    small, large = chunk("small"), chunk("large", CHUNK_BYTES)
    source = Paused([small])
    waiting = patient.store.put(patient.begin(), source)
    assert acked([next(waiting)], Held.VERIFIED) == [small.digest]
    source.drained()
    with no_file_longer_than(1_000_000):
        with pytest.raises(StorageFailed, match="cannot write its chunk store"):
            list(patient.store.put(patient.begin("bob"), [large]))
        with pytest.raises(StorageFailed, match="cannot write its chunk store"):
            list(waiting)
    source.end()
    assert (patient.pack_files(), patient.unfinished()) == ([], [])
    assert patient.sql("SELECT count(*) FROM chunk") == [(0,)]
    upload_id = patient.begin()
    assert acked(patient.send(upload_id, [small, large]), Held.DURABLE) == digests_of([small, large])


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_packs_that_cannot_even_be_begun_leave_nothing_open(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("never")
    list(storage.store.put(upload_id, [chunk("before")]))
    open_before = _open_files()
    with no_file_longer_than(0):
        for _ in range(20):
            with pytest.raises(StorageFailed):
                list(storage.store.put(upload_id, [one]))
    assert storage.unfinished() == []
    assert _open_files() <= open_before
    assert acked(storage.send(upload_id, [one]), Held.DURABLE) == [one.digest]


def test_a_folder_that_is_gone_fails_the_stream_and_the_store_goes_on(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("gone")
    (storage.packs_path / "tmp").rename(storage.packs_path / "elsewhere")
    with pytest.raises(StorageFailed, match="No such file"):
        list(storage.store.put(upload_id, [one]))
    (storage.packs_path / "elsewhere").rename(storage.packs_path / "tmp")
    assert acked(storage.send(upload_id, [one]), Held.DURABLE) == [one.digest]


def test_a_pack_that_cannot_be_sealed_is_abandoned(patient: Storage) -> None:
    one = chunk("unsealed")
    shards = [path for path in patient.packs_path.iterdir() if path.name != "tmp"]
    for shard in shards:
        shard.rmdir()
    upload_id = patient.begin()
    with pytest.raises(StorageFailed, match="could not make a pack durable"):
        list(patient.store.put(upload_id, [one]))
    assert patient.unfinished() == []
    assert patient.sql("SELECT count(*) FROM pack") == [(0,)]
    for shard in shards:
        shard.mkdir()
    assert acked(patient.send(upload_id, [one]), Held.DURABLE) == [one.digest]


def test_without_its_rows_a_sealed_pack_is_not_acknowledged(storage: Storage) -> None:
    one, upload_id = chunk("rowless"), storage.begin()
    storage.sql("ALTER TABLE pack RENAME TO hidden")
    with pytest.raises(StorageFailed, match="Send again what was not acknowledged"):
        list(storage.store.put(upload_id, [one]))
    storage.sql("ALTER TABLE hidden RENAME TO pack")
    # The file stays, harmless: nobody knows whether the rows were committed. Nothing names it.
    assert len(storage.pack_files()) == 1
    assert storage.sql("SELECT count(*) FROM chunk") == [(0,)]
    assert acked(storage.send(upload_id, [one]), Held.DURABLE) == [one.digest]
    assert list(storage.store.get([one.digest])) == [one]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_is_reported_and_what_was_durable_stays(empty_database: str, small_disk: Path) -> None:
    with open_storage(empty_database, small_disk / "packs") as storage:
        upload_id, kept = storage.begin(), chunk("kept", CHUNK_BYTES)
        storage.send(upload_id, [kept])
        with pytest.raises(StorageFull, match="No space left on device"):
            list(storage.store.put(upload_id, chunks("too much", 8, CHUNK_BYTES)))
        assert storage.unfinished() == []
        assert list(storage.store.get([kept.digest])) == [kept]
        more = chunk("fits", CHUNK_BYTES)
        assert acked(storage.send(upload_id, [more]), Held.DURABLE) == [more.digest]


# -- beginning and end -------------------------------------------------------------------------


def test_what_a_crash_left_unfinished_is_deleted_at_the_next_start(empty_database: str, tmp_path: Path) -> None:
    one = chunk("sealed")
    with open_storage(empty_database, tmp_path / "packs") as storage:
        storage.send(storage.begin(), [one])
        for _ in range(3):
            (storage.packs_path / "tmp" / f"{uuid4()}.pack").write_bytes(b"WBPACK\r\n, and then the power went")
    with open_storage(empty_database, tmp_path / "packs") as storage:
        assert storage.unfinished() == []
        assert list(storage.store.get([one.digest])) == [one]


def test_the_chunk_table_can_be_rebuilt_from_the_packs_alone(storage: Storage) -> None:
    def put(number: int) -> None:
        storage.send(storage.begin(), chunks(number, 30))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, range(8)))
    rebuilt = set()
    for path in storage.pack_files():
        pack_id, entries = read_pack_index(path.read_bytes())
        assert (path.stem, path.parent.name) == (str(pack_id), pack_id.hex[-2:])
        rebuilt |= {
            (pack_id, entry.digest, entry.offset, entry.raw_bytes, entry.encoded_bytes, int(entry.codec))
            for entry in entries
        }
    rows = storage.sql("SELECT pack_id, digest, pack_offset, raw_bytes, encoded_bytes, codec FROM chunk")
    assert len(rows) == 240
    assert rebuilt == set(rows)
    assert dict(storage.sql("SELECT id, size_bytes FROM pack")) == {
        pack_id: storage.packs.path_of(pack_id).stat().st_size for pack_id in storage.packs
    }


def test_an_unsealed_pack_cannot_be_taken_for_a_sealed_one(patient: Storage) -> None:
    source = Paused([chunk("open")])
    acks = patient.store.put(patient.begin(), source)
    assert next(acks).held is Held.VERIFIED
    source.drained()
    (unfinished,) = patient.unfinished()
    with pytest.raises(Damaged):
        read_pack_index(unfinished.read_bytes())
    source.end()
    assert next(acks).held is Held.DURABLE


def test_closing_seals_what_a_failed_stream_left_open(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_store, "IDLE_SEAL_S", 60.0)
    one = chunk("left open")

    def failing() -> Iterator[EncodedChunk]:
        yield one
        raise RuntimeError("the stream broke")

    with open_storage(empty_database, tmp_path / "packs") as storage:
        upload_id = storage.begin()
        with pytest.raises(RuntimeError, match="the stream broke"):
            list(storage.store.put(upload_id, failing()))
        assert len(storage.unfinished()) == 1
    assert storage.unfinished() == []
    with open_storage(empty_database, tmp_path / "packs") as storage:
        assert storage.uploads.find_missing("ada", upload_id, [one.digest]) == []
        assert list(storage.store.get([one.digest])) == [one]


def test_a_closed_store_says_so(storage: Storage) -> None:
    upload_id = storage.begin()
    storage.store.close()
    with pytest.raises(Unavailable, match="stopping"):
        list(storage.store.put(upload_id, [chunk("late")]))


def test_streams_beyond_the_store_s_number_wait_their_turn(empty_database: str, tmp_path: Path) -> None:
    with open_storage(empty_database, tmp_path / "packs", streams=1) as storage:
        first, others = Paused([chunk("first")]), chunks("others", 3)
        upload_id = storage.begin()
        acks = storage.store.put(upload_id, first)
        assert next(acks).held is Held.VERIFIED
        with ThreadPoolExecutor(len(others)) as threads:
            waiting = [threads.submit(lambda one=one: list(storage.store.put(upload_id, [one]))) for one in others]  # type: ignore[misc]
            assert not any(one.done() for one in waiting)
            acks.close()  # type: ignore[attr-defined]
            first.end()
            assert [acked(one.result(), Held.DURABLE) for one in waiting] == [[one.digest] for one in others]
