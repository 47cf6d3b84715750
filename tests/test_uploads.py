"""A version on its way in and out again, through the domain on real storage, without a channel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from storage_fixtures import (
    MODEL,
    NOBODY,
    Storage,
    chunk,
    chunks,
    digests_of,
    file_of,
    open_storage,
    raw_of,
)
from weighbridge.core.chunks import ChunkRef, EncodedChunk
from weighbridge.core.digest import Digest, chunk_digest, format_digest
from weighbridge.core.errors import (
    AliasNotFound,
    ChunkNotFound,
    ChunksMissing,
    DataLoss,
    FileNotInVersion,
    InvalidPath,
    InvalidRequest,
    LimitExceeded,
    ManifestMismatch,
    ModelNotFound,
    RequestIdReused,
    UploadEnded,
    UploadNotFound,
    VersionNotFound,
    WeighbridgeError,
)
from weighbridge.core.limits import CHUNK_BYTES, FILES_PER_VERSION
from weighbridge.core.manifest import file_manifest, manifest_digest
from weighbridge.core.values import MetricPoint, Parent, Record, Relation, Upload
from weighbridge_server.domain.housekeeping import Housekeeping


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


def _named(error: WeighbridgeError) -> list[str]:
    return [violation.path for violation in error.violations]


# -- whose an upload is, and who may know of a chunk ---------------------------------------------


def test_another_actor_s_upload_is_not_found(storage: Storage) -> None:
    upload_id, one = storage.begin("ada"), chunk("mine")
    attempts: list[Callable[[], object]] = [
        lambda: storage.uploads.renew("bob", upload_id),
        lambda: storage.uploads.abort("bob", upload_id),
        lambda: storage.uploads.find_missing("bob", upload_id, [one.digest]),
        lambda: list(storage.uploads.receive("bob", upload_id, [one])),
        lambda: storage.uploads.put_manifest("bob", upload_id, [file_of("a.bin", [one])]),
        lambda: storage.uploads.commit("bob", upload_id, NOBODY, Record(), []),
    ]
    for attempt in attempts:
        with pytest.raises(UploadNotFound):
            attempt()
    storage.send(upload_id, [one])
    assert storage.commit(upload_id, [file_of("a.bin", [one])]).creator == "ada"


def test_knowing_a_digest_gives_nothing_until_a_version_holds_it(storage: Storage) -> None:
    put = chunks("secret", 3)
    of_ada, of_bob = storage.begin("ada"), storage.begin("bob")
    storage.send(of_ada, put)
    file = file_of("a.bin", put)
    assert storage.uploads.find_missing("bob", of_bob, digests_of(put)) == digests_of(put)
    with pytest.raises(ChunksMissing) as raised:
        storage.uploads.put_manifest("bob", of_bob, [file])
    assert sorted(_named(raised.value)) == sorted(map(format_digest, digests_of(put)))
    # Ada's own next upload may use them, though this one is given up.
    storage.uploads.abort("ada", of_ada)
    again = storage.begin("ada")
    assert storage.uploads.find_missing("ada", again, digests_of(put)) == []
    storage.commit(again, [file])
    # Now bob can read them, so they need not be sent.
    assert storage.uploads.find_missing("bob", of_bob, [*digests_of(put), NOBODY]) == [NOBODY]
    assert storage.commit(of_bob, [file], "bob").version == 2


def test_a_file_whose_chunk_list_is_known_needs_its_chunks_all_the_same(storage: Storage) -> None:
    put = chunks("known list", 2)
    of_ada, of_bob = storage.begin("ada"), storage.begin("bob")
    storage.send(of_ada, put)
    file = file_of("a.bin", put)
    storage.uploads.put_manifest("ada", of_ada, [file])
    with pytest.raises(ChunksMissing):
        storage.uploads.put_manifest("bob", of_bob, [file])
    with pytest.raises(InvalidRequest, match="at least one file"):
        storage.uploads.commit("bob", of_bob, manifest_digest([file]), Record(), [])


# -- manifests -----------------------------------------------------------------------------------


def test_chunks_that_are_not_held_are_listed_and_counted(storage: Storage) -> None:
    upload_id, held, lacking = storage.begin(), chunks("held", 5), chunks("lacking", 30)
    storage.send(upload_id, held)
    with pytest.raises(ChunksMissing) as raised:
        storage.uploads.put_manifest("ada", upload_id, [file_of("a.bin", held), file_of("b.bin", held + lacking)])
    assert raised.value.details["missing"] == "30"
    assert len(raised.value.violations) == 20
    assert set(_named(raised.value)) < set(map(format_digest, digests_of(lacking)))
    storage.send(upload_id, lacking)
    assert storage.commit(upload_id, [file_of("b.bin", held + lacking)]).chunks_total == 35


def test_a_wrong_size_or_root_is_refused(storage: Storage) -> None:
    upload_id, put = storage.begin(), chunks("sizes", 2)
    storage.send(upload_id, put)
    file = file_of("a.bin", put)
    for wrong in (
        replace(file, size_bytes=file.size_bytes + 1),
        replace(file, root=NOBODY),
        replace(file, chunks=file.chunks[::-1]),
        replace(file, chunks=file.chunks[:1], size_bytes=1000),
    ):
        with pytest.raises(ManifestMismatch) as raised:
            storage.uploads.put_manifest("ada", upload_id, [wrong])
        assert raised.value.details["path"] == "a.bin"
    assert storage.sql("SELECT count(*) FROM upload_file") == [(0,)]


@pytest.mark.parametrize("length", [1, 999, 1001, CHUNK_BYTES])
def test_a_length_that_is_not_the_chunk_s_own_is_refused(storage: Storage, length: int) -> None:
    upload_id, one = storage.begin(), chunk("length")
    storage.send(upload_id, [one])
    lying = file_manifest("a.bin", [ChunkRef(one.digest, length)])
    with pytest.raises(ChunksMissing) as raised:
        storage.uploads.put_manifest("ada", upload_id, [lying])
    assert _named(raised.value) == [format_digest(one.digest)]
    assert storage.sql("SELECT count(*) FROM upload_file") == [(0,)]


@pytest.mark.parametrize("length", [0, CHUNK_BYTES + 1, 2**31, 2**32 - 1])
def test_a_length_that_no_chunk_has_is_refused(storage: Storage, length: int) -> None:
    upload_id, one = storage.begin(), chunk("no length")
    storage.send(upload_id, [one])
    lying = file_manifest("a.bin", [ChunkRef(one.digest, length)])
    with pytest.raises(ManifestMismatch):
        storage.uploads.put_manifest("ada", upload_id, [lying])
    with storage.catalog.transaction("ada") as tx:  # and by storage, whatever checks come before it
        assert tx.uploads.put_files(upload_id, [lying]) == [one.digest]


def test_an_upload_holds_no_more_files_than_a_version(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("many files")
    storage.send(upload_id, [one])
    most = [file_of(f"{number:05}.bin", [one]) for number in range(FILES_PER_VERSION)]
    one_more = file_of("one-more.bin", [one])
    with pytest.raises(LimitExceeded):
        storage.uploads.put_manifest("ada", upload_id, [*most, one_more])
    assert storage.uploads.put_manifest("ada", upload_id, most) == FILES_PER_VERSION
    with pytest.raises(LimitExceeded):  # nor in two calls, and nothing of the second is kept
        storage.uploads.put_manifest("ada", upload_id, [one_more])
    version = storage.uploads.commit("ada", upload_id, manifest_digest(most), Record(), [])
    assert (version.files_total, version.bytes_total) == (FILES_PER_VERSION, 1000 * FILES_PER_VERSION)
    _, files = storage.reading.manifest(version.ref, files_only=True)
    assert sum(1 for _ in files) == FILES_PER_VERSION


def test_paths_that_collide_are_refused_in_one_call_and_across_calls(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("paths")
    storage.send(upload_id, [one])
    with pytest.raises(InvalidPath):
        storage.uploads.put_manifest("ada", upload_id, [file_of("a", [one]), file_of("A", [one])])
    files = [file_of("a", [one]), file_of("a/b", [one])]
    for file in files:
        storage.uploads.put_manifest("ada", upload_id, [file])
    with pytest.raises(InvalidPath):
        storage.uploads.commit("ada", upload_id, manifest_digest(files), Record(), [])


def test_uploads_that_bring_the_same_files_in_different_orders_do_not_deadlock(storage: Storage) -> None:
    put = chunks("orders", 3)
    files = sorted((file_of(f"{place}.bin", [one]) for place, one in enumerate(put)), key=lambda file: file.root)
    begun = {actor: storage.begin(actor) for actor in ("ada", "bob")}
    for actor, upload_id in begun.items():
        storage.send(upload_id, put, actor)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weighbridge' AND wait_event_type = 'Lock'"
    )
    with ThreadPoolExecutor(2) as threads, psycopg.connect(storage.url) as between:
        # Keeps the one in the middle until both have what they bring first.
        between.execute("INSERT INTO content (root, size_bytes, chunks_total) VALUES (%s, 1000, 1)", (files[1].root,))
        recorded = [
            threads.submit(storage.uploads.put_manifest, "ada", begun["ada"], files),
            threads.submit(storage.uploads.put_manifest, "bob", begun["bob"], files[::-1]),
        ]
        while storage.sql(waiting) != [(2,)]:
            assert not any(one.done() for one in recorded)
        between.rollback()
        assert [one.result() for one in recorded] == [3, 3]
    assert storage.sql("SELECT count(*) FROM content") == [(3,)]


# -- commit --------------------------------------------------------------------------------------


def test_a_refused_commit_can_be_mended(storage: Storage) -> None:
    upload_id, put = storage.begin(), chunks("mended", 2)
    storage.send(upload_id, put)
    wrong, right = file_of("a.bin", put[:1]), file_of("a.bin", put)
    storage.uploads.put_manifest("ada", upload_id, [wrong])
    refused: list[tuple[type[WeighbridgeError], Digest, Record]] = [
        (ManifestMismatch, manifest_digest([right]), Record()),
        (InvalidRequest, manifest_digest([wrong]), Record(params={"lr": float("nan")})),
        (VersionNotFound, manifest_digest([wrong]), Record(parents=[Parent(f"{MODEL}:9")])),
        (ModelNotFound, manifest_digest([wrong]), Record(parents=[Parent("no.such.model")])),
        (AliasNotFound, manifest_digest([wrong]), Record(parents=[Parent(f"{MODEL}@production")])),
        (LimitExceeded, manifest_digest([wrong]), Record(description="x" * 70_000)),
    ]
    for error, manifest, record in refused:
        with pytest.raises(error):
            storage.uploads.commit("ada", upload_id, manifest, record, [])
    with pytest.raises(VersionNotFound):
        storage.versions.get(MODEL)
    assert storage.uploads.put_manifest("ada", upload_id, [right]) == 1
    assert storage.uploads.commit("ada", upload_id, manifest_digest([right]), Record(), []).version == 1
    assert [event.action for event in storage.journal.list(0, "")[0]] == ["version.committed"]


def test_the_same_commit_again_returns_the_same_version(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("again")
    storage.send(upload_id, [one])
    file = file_of("a.bin", [one])
    metrics = [MetricPoint("loss", 0.5, 1), MetricPoint("loss", float("nan"), 2)]
    storage.uploads.put_manifest("ada", upload_id, [file])

    def commit(record: Record, points: Sequence[MetricPoint] = metrics) -> object:
        return storage.uploads.commit("ada", upload_id, manifest_digest([file]), record, points)

    first = commit(Record(tags={"a": 1}))
    assert repr(commit(Record(tags={"a": 1}))) == repr(first)
    others: list[Callable[[], object]] = [
        lambda: commit(Record(tags={"a": 1.0})),
        lambda: commit(Record(tags={"a": 1}), metrics[:1]),
        lambda: storage.uploads.commit("ada", upload_id, NOBODY, Record(tags={"a": 1}), metrics),
    ]
    for other in others:
        with pytest.raises(UploadEnded, match=f"was committed as {MODEL}:1"):
            other()
    assert storage.versions.get(MODEL).version == 1
    assert len(storage.journal.list(0, "")[0]) == 1


def test_one_commit_made_by_many_at_once_makes_one_version(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("many at once")
    storage.send(upload_id, [one])
    file = file_of("a.bin", [one])
    storage.uploads.put_manifest("ada", upload_id, [file])
    together = threading.Barrier(10)

    def commit(_: int) -> int:
        together.wait(30)
        return storage.uploads.commit("ada", upload_id, manifest_digest([file]), Record(), []).version

    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(commit, range(10))) == [1] * 10
    assert len(storage.journal.list(0, "")[0]) == 1


def test_fifty_commits_at_once_are_numbered_1_to_50(storage: Storage) -> None:
    together = threading.Barrier(50)

    def commit(number: int) -> int:
        one, actor = chunk(number), f"user-{number}"
        upload_id = storage.begin(actor)
        storage.send(upload_id, [one], actor)
        together.wait(60)
        return storage.commit(upload_id, [file_of("a.bin", [one])], actor).version

    with ThreadPoolExecutor(50) as threads:
        assert sorted(threads.map(commit, range(50))) == list(range(1, 51))
    assert storage.models.get(MODEL).latest_version == 50
    assert list(storage.journal.verify())[-1].revision == 50


def test_a_chunk_found_damaged_at_commit_is_named_and_healed_by_sending_it(storage: Storage) -> None:
    upload_id, put = storage.begin(), chunks("damaged", 3)
    storage.send(upload_id, put)
    file = file_of("a.bin", put)
    storage.uploads.put_manifest("ada", upload_id, [file])
    storage.damage(put[1].digest)
    with pytest.raises(DataLoss):
        list(storage.store.get([put[1].digest]))
    with pytest.raises(ChunksMissing) as raised:
        storage.uploads.commit("ada", upload_id, manifest_digest([file]), Record(), [])
    assert _named(raised.value) == [format_digest(put[1].digest)]
    assert storage.uploads.find_missing("ada", upload_id, digests_of(put)) == [put[1].digest]
    storage.send(upload_id, [put[1]])
    version = storage.uploads.commit("ada", upload_id, manifest_digest([file]), Record(), [])
    assert b"".join(storage.reading.read_file(version.ref, "a.bin", 0, 0)) == raw_of(put)


# -- an upload's end -----------------------------------------------------------------------------


def _aborted(storage: Storage, upload_id: str) -> None:
    storage.uploads.abort("ada", upload_id)
    storage.uploads.abort("ada", upload_id)  # again: nothing happens


def _hard_expired(storage: Storage, upload_id: str) -> None:
    storage.sql("UPDATE upload SET hard_expires_time = now() - interval '1 second' WHERE id = %s", upload_id)


@pytest.mark.parametrize(
    ("end", "said"),
    [(_aborted, "was aborted"), (_hard_expired, "has expired")],
)
def test_an_upload_that_ended_takes_nothing_any_more(
    storage: Storage, end: Callable[[Storage, str], None], said: str
) -> None:
    upload_id, one = storage.begin(), chunk("ended")
    storage.send(upload_id, [one])
    file = file_of("a.bin", [one])
    storage.uploads.put_manifest("ada", upload_id, [file])
    end(storage, upload_id)
    attempts: list[Callable[[], object]] = [
        lambda: storage.uploads.renew("ada", upload_id),
        lambda: storage.uploads.find_missing("ada", upload_id, [one.digest]),
        lambda: list(storage.uploads.receive("ada", upload_id, [one])),
        lambda: storage.uploads.put_manifest("ada", upload_id, [file]),
        lambda: storage.uploads.commit("ada", upload_id, manifest_digest([file]), Record(), []),
    ]
    for attempt in attempts:
        with pytest.raises(UploadEnded, match=said):
            attempt()
    with pytest.raises(VersionNotFound):
        storage.versions.get(MODEL)
    # What was sent need not be sent again.
    assert storage.uploads.find_missing("ada", storage.begin(), [one.digest]) == []


@pytest.mark.parametrize("noticed", [False, True])
def test_an_upload_whose_lease_ran_out_is_opened_again_by_any_call(storage: Storage, noticed: bool) -> None:
    """A trainer that was cut off for hours, or whose server's clock jumped, loses neither chunks nor metrics."""
    upload_id, one = storage.begin(), chunk("away")
    file = file_of("a.bin", [one])
    calls: list[Callable[[], object]] = [
        lambda: storage.uploads.renew("ada", upload_id),
        lambda: storage.send(upload_id, [one]),
        lambda: storage.uploads.find_missing("ada", upload_id, [one.digest]),
        lambda: storage.uploads.put_manifest("ada", upload_id, [file]),
        lambda: storage.uploads.commit("ada", upload_id, manifest_digest([file]), Record(), []),
    ]
    for call in calls:
        storage.sql("UPDATE upload SET lease_expires_time = now() - interval '1 second'")
        if noticed:
            Housekeeping(storage.catalog).run_once()
            assert storage.sql("SELECT state FROM upload") == [("expired",)]
        call()
    assert storage.versions.get(MODEL).version == 1
    Housekeeping(storage.catalog).run_once()
    assert storage.sql("SELECT state FROM upload") == [("committed",)]


def test_every_call_renews_the_lease_but_never_beyond_the_hard_expiry(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("lease")
    calls: list[Callable[[], object]] = [
        lambda: storage.uploads.renew("ada", upload_id),
        lambda: storage.uploads.find_missing("ada", upload_id, [one.digest]),
        lambda: storage.send(upload_id, [one]),
        lambda: storage.uploads.put_manifest("ada", upload_id, [file_of("a.bin", [one])]),
    ]
    for call in calls:
        storage.sql("UPDATE upload SET lease_expires_time = now() + interval '1 minute' WHERE id = %s", upload_id)
        call()
        assert storage.sql("SELECT lease_expires_time > now() + interval '59 minutes' FROM upload") == [(True,)]
    storage.sql("UPDATE upload SET hard_expires_time = now() + interval '5 minutes' WHERE id = %s", upload_id)
    renewed = storage.uploads.renew("ada", upload_id)
    assert renewed.lease_expires_time == renewed.hard_expires_time


# -- request ids ---------------------------------------------------------------------------------


def test_a_request_id_opens_one_upload_however_often_it_comes(storage: Storage) -> None:
    storage.models.create("ada", "", MODEL, "", "")
    together = threading.Barrier(10)

    def begin(_: int) -> Upload:
        together.wait(30)
        return storage.uploads.begin("ada", "request-1", MODEL, Record(description="one"))

    with ThreadPoolExecutor(10) as threads:
        begun = list(threads.map(begin, range(10)))
    assert {upload.upload_id for upload in begun} == {begun[0].upload_id}
    assert storage.sql("SELECT count(*) FROM upload") == [(1,)]
    with pytest.raises(RequestIdReused):
        storage.uploads.begin("ada", "request-1", MODEL, Record(description="two"))
    with pytest.raises(RequestIdReused):
        storage.models.create("ada", "request-1", "a.b.c", "", "")
    # Another actor's ids are another's.
    assert storage.uploads.begin("bob", "request-1", MODEL, Record()).upload_id != begun[0].upload_id
    assert storage.uploads.begin("ada", "", MODEL, Record()).upload_id != begun[0].upload_id


def test_a_model_is_registered_once_under_a_request_id(storage: Storage) -> None:
    together = threading.Barrier(10)

    def create(_: int) -> str:
        together.wait(30)
        return storage.models.create("ada", "request-2", "a.b.c", "team", "text").name

    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(create, range(10))) == ["a.b.c"] * 10
    assert len(storage.journal.list(0, "")[0]) == 1
    with pytest.raises(RequestIdReused):
        storage.models.create("ada", "request-2", "a.b.c", "another team", "text")


def test_a_refused_call_does_not_use_its_request_id_up(storage: Storage) -> None:
    with pytest.raises(ModelNotFound):
        storage.uploads.begin("ada", "request-3", MODEL, Record())
    storage.models.create("ada", "", MODEL, "", "")
    assert storage.uploads.begin("ada", "request-3", MODEL, Record()).model == MODEL


# -- parents -------------------------------------------------------------------------------------


def test_a_parent_is_recorded_as_the_version_it_stood_for(storage: Storage) -> None:
    base, one = "vision.base.resnet", chunk("base")
    first = storage.push({"a.bin": [one]}, model=base)
    storage.push({"b.bin": [one]}, model=base)
    upload_id = storage.begin()
    storage.send(upload_id, [one])
    file = file_of("a.bin", [one])
    storage.uploads.put_manifest("ada", upload_id, [file])
    by_manifest = f"{base}#{format_digest(first.manifest)}"
    record = Record(parents=[Parent(base, Relation.MERGED), Parent(by_manifest, Relation.DISTILLED)])
    version = storage.uploads.commit("ada", upload_id, manifest_digest([file]), record, [])
    storage.push({"c.bin": [one]}, model=base)
    stored = storage.versions.get(version.ref).record
    assert stored is not None
    assert stored.parents == (Parent(f"{base}:2", Relation.MERGED), Parent(f"{base}:1", Relation.DISTILLED))


def test_a_second_try_is_the_same_call_although_its_parent_s_name_stands_for_another_by_then(storage: Storage) -> None:
    base, one = "vision.base.resnet", chunk("moved")
    storage.push({"a.bin": [one]}, model=base)
    storage.models.create("ada", "", MODEL, "", "")
    record = Record(parents=[Parent(base)])
    begun = storage.uploads.begin("ada", "request", MODEL, record)
    storage.push({"b.bin": [one]}, model=base)
    assert storage.uploads.begin("ada", "request", MODEL, record).upload_id == begun.upload_id
    assert storage.uploads.find_missing("ada", begun.upload_id, [one.digest]) == []
    file = file_of("a.bin", [one])
    storage.uploads.put_manifest("ada", begun.upload_id, [file])
    version = storage.uploads.commit("ada", begun.upload_id, manifest_digest([file]), record, [])
    storage.push({"c.bin": [one]}, model=base)
    assert storage.uploads.commit("ada", begun.upload_id, manifest_digest([file]), record, []) == version


# -- reading -------------------------------------------------------------------------------------

_SIZES = [1, 1000, 3, 2, 5000, 700, 1]


@pytest.fixture
def content() -> list[EncodedChunk]:
    """Chunks of a file, short and long."""
    return [chunk(("part", number), size) for number, size in enumerate(_SIZES)]


def test_any_part_of_a_file_is_what_slicing_gives(storage: Storage, content: list[EncodedChunk]) -> None:
    version, raw = storage.push({"a.bin": content}), raw_of(content)
    borders = [0]
    for size in _SIZES:
        borders.append(borders[-1] + size)
    offsets = sorted({at + by for at in borders for by in (-1, 0, 1) if at + by >= 0} | {len(raw) + 5000, 2**63})
    for offset in offsets:
        for limit in {0, 1, 2, 1000, len(raw), 2**40, *(b - a for a, b in pairwise(borders))}:
            read = b"".join(storage.reading.read_file(version.ref, "a.bin", offset, limit))
            assert read == raw[offset : offset + limit if limit else None], (offset, limit)


def test_a_file_of_more_chunks_than_a_page_can_be_read_anywhere(storage: Storage) -> None:
    parts = chunks("page", 7, 10)
    of = [parts[number * number % 7] for number in range(8300)]
    upload_id = storage.begin()
    storage.send(upload_id, parts)
    version, raw = storage.commit(upload_id, [file_of("a.bin", of)]), raw_of(of)
    for offset, limit in ((0, 0), (81_915, 10), (81_920, 1), (81_000, 1900), (639, 2), (len(raw) - 1, 0)):
        read = b"".join(storage.reading.read_file(version.ref, "a.bin", offset, limit))
        assert read == raw[offset : offset + limit if limit else None]
    _, listing = storage.reading.manifest(version.ref, files_only=False)
    listed = [ref.digest for part in listing if isinstance(part, list) for ref in part]
    assert listed == digests_of(of)


def test_an_empty_file_reads_as_nothing(storage: Storage, content: list[EncodedChunk]) -> None:
    version = storage.push({"a.bin": content, "empty.bin": []})
    assert list(storage.reading.read_file(version.ref, "empty.bin", 0, 0)) == []
    with pytest.raises(FileNotInVersion):
        storage.reading.read_file(version.ref, "b.bin", 0, 0)


def test_a_version_serves_its_own_chunks_only(storage: Storage, content: list[EncodedChunk]) -> None:
    other = chunk("of another version")
    first = storage.push({"a.bin": content})
    second = storage.push({"a.bin": [other]})
    asked = [content[3], content[0], content[3]]
    assert list(storage.reading.chunks(first.ref, digests_of(asked))) == asked
    for ref, digest in ((first.ref, other.digest), (second.ref, content[0].digest), (first.ref, NOBODY)):
        with pytest.raises(ChunkNotFound) as raised:
            storage.reading.chunks(ref, [digest])
        assert raised.value.details["digest"] == format_digest(digest)


def test_a_loss_names_the_file_and_the_chunk(storage: Storage, content: list[EncodedChunk]) -> None:
    version = storage.push({"b/weights.bin": content, "z.bin": content[4:], "a.bin": [chunk("sound")]})
    storage.damage(content[4].digest)
    for read in (
        lambda: list(storage.reading.read_file(version.ref, "b/weights.bin", 0, 0)),
        lambda: list(storage.reading.chunks(version.ref, [content[4].digest])),
    ):
        with pytest.raises(DataLoss, match="Push the file again to heal it") as raised:
            read()
        assert raised.value.details == {
            "ref": version.ref,
            "path": "b/weights.bin",
            "chunk": "4",
            "digest": format_digest(content[4].digest),
        }
    # What lies before the damage and in other files is served.
    raw = raw_of(content[:4])
    assert b"".join(storage.reading.read_file(version.ref, "b/weights.bin", 0, len(raw))) == raw
    assert b"".join(storage.reading.read_file(version.ref, "a.bin", 0, 0)) == raw_of([chunk("sound")])


def test_a_payload_that_decodes_to_other_bytes_is_a_loss_too(storage: Storage) -> None:
    good = chunk("good")
    version = storage.push({"a.bin": [good]})
    other = chunk("other")
    storage.send(storage.begin(), [other])
    # The catalogue leads to a sound record that says it is another chunk.
    storage.sql(
        "UPDATE chunk SET (pack_id, pack_offset) = (SELECT pack_id, pack_offset FROM chunk WHERE digest = %s) "
        "WHERE digest = %s",
        other.digest,
        good.digest,
    )
    with pytest.raises(DataLoss):
        list(storage.reading.read_file(version.ref, "a.bin", 0, 0))
    assert chunk_digest(raw_of([good])) == good.digest


def test_digests_by_the_thousands_are_asked_for_in_one_call(storage: Storage) -> None:
    upload_id, one = storage.begin(), chunk("one")
    storage.send(upload_id, [one])
    unknown = [number.to_bytes(32, "big") for number in range(16_383)]
    assert storage.uploads.find_missing("ada", upload_id, [*unknown, one.digest]) == unknown
