"""The journal: gapless, in commit order, and any later change of it is found."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage_fixtures import MODEL, Storage, chunk, open_storage
from weighbridge.core.digest import Digest
from weighbridge.core.errors import JournalBroken, ModelExists
from weighbridge.core.event_hash import GENESIS, event_hash
from weighbridge_server.domain.journal.journal import Proven
from weighbridge_server.domain.journal.ports import Change, EventFilter


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


@pytest.fixture
def written(storage: Storage) -> Storage:
    """Storage with a journal of twelve events."""
    for number in range(12):
        storage.models.create("ada", "", f"a.b.m{number + 1}", "team", "")
    return storage


def _verify(storage: Storage) -> tuple[int, Digest]:
    """The newest revision and its hash, when everything holds."""
    *_, last = storage.journal.verify()
    assert last.done
    assert last.revision == last.newest
    return last.revision, last.hash


def _broken_at(storage: Storage) -> tuple[int, str]:
    with pytest.raises(JournalBroken) as raised:
        list(storage.journal.verify())
    return int(raised.value.details["revision"]), raised.value.message


def test_an_empty_journal_holds(storage: Storage) -> None:
    assert list(storage.journal.verify()) == [Proven(0, GENESIS, 0, True)]


def test_revisions_are_gapless_and_in_commit_order_under_concurrent_writers(storage: Storage) -> None:
    together = threading.Barrier(20)
    one = chunk("shared")

    def write(number: int) -> list[int]:
        together.wait(30)
        mine = []
        for turn in range(5):
            storage.models.create(f"writer-{number}", "", f"a.b.w{number}-{turn}", "", "")
            version = storage.push({"a.bin": [one]}, actor=f"writer-{number}")
            mine.append(storage.versions.resolve(version.ref).revision)
        return mine

    with ThreadPoolExecutor(20) as threads:
        committed = list(threads.map(write, range(20)))
    events, token = storage.journal.list(1000, "")
    assert token == ""
    assert [event.revision for event in events] == list(range(1, 201))
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert all(mine == sorted(mine) for mine in committed)
    # Versions of one model are numbered in the order of their events.
    numbers = [json.loads(event.after)["version"] for event in events if event.action == "version.committed"]
    assert numbers == list(range(1, 101))
    assert _verify(storage) == (200, events[-1].hash)


def test_each_event_s_hash_is_that_of_its_columns_and_the_one_before(written: Storage) -> None:
    previous = GENESIS
    for event in written.journal.list(0, "")[0]:
        assert event.previous_hash == previous
        previous = event_hash(
            previous,
            revision=event.revision,
            time=event.time,
            actor=event.actor,
            action=event.action,
            resource=event.resource,
            before=event.before,
            after=event.after,
        )
        assert event.hash == previous
    assert written.sql("SELECT revision, hash FROM journal_head") == [(12, previous)]


def test_what_is_rolled_back_leaves_no_gap(storage: Storage) -> None:
    storage.models.create("ada", "", "a.b.c", "", "")
    with pytest.raises(ModelExists):
        storage.models.create("ada", "", "a.b.c", "", "")

    class Refused(Exception):
        pass

    with pytest.raises(Refused), storage.catalog.transaction("ada") as tx:
        tx.record(Change("model.created", "a.b.d", "", "{}"))
        raise Refused
    storage.models.create("ada", "", "a.b.d", "", "")
    assert [event.revision for event in storage.journal.list(0, "")[0]] == [1, 2]
    assert _verify(storage)[0] == 2


def test_several_changes_of_one_transaction_are_chained(storage: Storage) -> None:
    with storage.catalog.transaction("ada") as tx:
        for number in range(3):
            tx.record(Change("test.happened", f"a.b.c:{number}", "", "{}"))
    assert _verify(storage)[0] == 3


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'mallory'",
        "action = 'model.deleted'",
        "resource = 'a.b.m99'",
        "before = '{}'",
        "after = replace(after, 'team', 'mine')",
        "time = time + interval '1 microsecond'",
        "hash = decode(repeat('00', 32), 'hex')",
        "previous_hash = hash",
    ],
)
@pytest.mark.parametrize("revision", [1, 7, 12])
def test_a_changed_field_is_found(written: Storage, change: str, revision: int) -> None:
    written.sql(f"UPDATE event SET {change} WHERE revision = %s", revision)
    assert _broken_at(written)[0] == revision


@pytest.mark.parametrize("revision", [1, 7, 11])
def test_a_deleted_event_is_found(written: Storage, revision: int) -> None:
    written.sql("DELETE FROM event WHERE revision = %s", revision)
    assert _broken_at(written) == (
        revision,
        f"the journal is broken at revision {revision}: event {revision} is gone; {revision + 1} follows",
    )


def test_two_swapped_events_are_found(written: Storage) -> None:
    written.sql("UPDATE event SET revision = -revision WHERE revision IN (4, 9)")
    written.sql("UPDATE event SET revision = CASE revision WHEN -4 THEN 9 ELSE 4 END WHERE revision < 0")
    assert _broken_at(written)[0] == 4


def test_an_inserted_event_is_found(written: Storage) -> None:
    written.sql("UPDATE event SET revision = -revision - 1 WHERE revision >= 6")
    written.sql("UPDATE event SET revision = -revision WHERE revision < 0")
    written.sql(
        "INSERT INTO event SELECT 6, time, 'mallory', action, resource, before, after, hash, hash FROM event "
        "WHERE revision = 5"
    )
    written.sql("UPDATE journal_head SET revision = 13")
    assert _broken_at(written)[0] == 6


@pytest.mark.parametrize("revision", [13, 14, 2000])
def test_an_event_beyond_the_head_is_found(written: Storage, revision: int) -> None:
    written.sql(
        "INSERT INTO event SELECT %s, time, 'mallory', action, resource, before, after, hash, hash FROM event "
        "WHERE revision = 12",
        revision,
    )
    assert _broken_at(written)[0] == revision


@pytest.mark.parametrize("revision", [0, -1])
def test_an_event_before_the_first_is_found(written: Storage, revision: int) -> None:
    written.sql(
        "INSERT INTO event SELECT %s, time, 'mallory', action, resource, before, after, hash, hash FROM event "
        "WHERE revision = 1",
        revision,
    )
    assert _broken_at(written)[0] == 1


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 00:00:00 BC", "20000-01-01"])
def test_a_time_that_no_calendar_has_is_found(written: Storage, time: str) -> None:
    written.sql(f"UPDATE event SET time = '{time}' WHERE revision = 7")
    assert _broken_at(written)[0] == 7


def test_a_head_that_is_gone_is_found(written: Storage) -> None:
    written.sql("DELETE FROM journal_head")
    assert _broken_at(written)[0] == 1


@pytest.mark.parametrize("left", [0, 1, 11])
def test_a_truncated_tail_is_found(written: Storage, left: int) -> None:
    written.sql("DELETE FROM event WHERE revision > %s", left)
    revision, message = _broken_at(written)
    assert revision == left + 1
    assert message.endswith(f"events {left + 1} to 12 are gone")


def test_a_head_that_names_another_event_is_found(written: Storage) -> None:
    written.sql("UPDATE journal_head SET hash = decode(repeat('11', 32), 'hex')")
    assert _broken_at(written)[0] == 12


def test_a_journal_longer_than_a_page_is_verified_to_its_end(storage: Storage) -> None:
    with storage.catalog.transaction("ada") as tx:
        for number in range(2500):
            tx.record(Change("test.happened", f"a.b.c:{number}", "", "{}"))
    assert [(proven.revision, proven.done) for proven in storage.journal.verify()] == [
        (1000, False),
        (2000, False),
        (2500, False),
        (2500, True),
    ]
    storage.sql("UPDATE event SET actor = 'mallory' WHERE revision = 2400")
    assert _broken_at(storage)[0] == 2400


def test_verification_holds_while_writers_go_on(written: Storage) -> None:
    stop = threading.Event()

    def write() -> int:
        number = 0
        while not stop.is_set():
            written.models.create("ada", "", f"a.b.more-{number}", "", "")
            number += 1
        return number

    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(write)
        try:
            verified = [_verify(written)[0] for _ in range(20)]
        finally:
            stop.set()
        assert 12 <= verified[0] <= verified[-1] <= 12 + writing.result()
        assert verified == sorted(verified)


def test_events_of_a_model_are_those_of_its_versions_too(storage: Storage) -> None:
    storage.models.create("ada", "", f"{MODEL}-two", "", "")
    storage.models.create("ada", "", MODEL, "", "")
    storage.push({"a.bin": [chunk("journal")]})
    storage.models.create("ada", "", f"{MODEL}0", "", "")
    assert [event.resource for event in storage.journal.list(0, "", EventFilter(resource=MODEL))[0]] == [
        MODEL,
        f"{MODEL}:1",
    ]
    assert [event.resource for event in storage.journal.list(0, "", EventFilter(resource=f"{MODEL}:1"))[0]] == [
        f"{MODEL}:1"
    ]
