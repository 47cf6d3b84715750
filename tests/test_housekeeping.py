"""Uploads end by themselves, keep what they brought for a day, and are then forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_fixtures import Storage, chunk, file_of, open_storage
from weighbridge.core.errors import UploadEnded, UploadNotFound
from weighbridge_server.domain.housekeeping import Housekeeping


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """A catalogue and packs of its own."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


def states(storage: Storage) -> list[str]:
    """Of all uploads, oldest first."""
    return [str(state) for (state,) in storage.sql("SELECT state FROM upload ORDER BY begun_time, id")]


def test_an_upload_whose_lease_ran_out_ends_and_its_chunks_wait_for_the_next_try(storage: Storage) -> None:
    left, brought = storage.begin(), chunk("brought")
    storage.send(left, [brought])
    storage.sql("UPDATE upload SET lease_expires_time = now() - interval '1 second'")
    going_on = storage.begin()
    Housekeeping(storage.catalog).run_once()
    assert states(storage) == ["expired", "open"]
    assert storage.uploads.find_missing("ada", going_on, [brought.digest]) == []


def test_all_that_ended_a_day_ago_is_forgotten_at_once(storage: Storage) -> None:
    for _ in range(45):
        storage.uploads.abort("ada", storage.begin())
    storage.sql("UPDATE upload SET ended_time = ended_time - interval '25 hours'")
    Housekeeping(storage.catalog).run_once()
    assert states(storage) == []


def test_the_hard_expiry_ends_an_upload_that_is_renewed(storage: Storage) -> None:
    upload_id = storage.begin()
    storage.sql("UPDATE upload SET hard_expires_time = now() - interval '1 second'")
    Housekeeping(storage.catalog).run_once()
    assert states(storage) == ["expired"]
    with pytest.raises(UploadEnded):
        storage.uploads.renew("ada", upload_id)


def test_what_ended_a_day_ago_is_forgotten_and_holds_nothing(storage: Storage) -> None:
    aborted, away, brought = storage.begin(), storage.begin(), chunk("brought")
    storage.send(aborted, [brought])
    storage.uploads.abort("ada", aborted)
    storage.send(away, [brought])
    storage.sql("UPDATE upload SET lease_expires_time = now() - interval '1 second'")
    Housekeeping(storage.catalog).run_once()
    assert states(storage) == ["aborted", "expired"]
    storage.sql("UPDATE upload SET ended_time = ended_time - interval '25 hours'")
    Housekeeping(storage.catalog).run_once()
    assert states(storage) == []
    for upload_id in (aborted, away):
        with pytest.raises(UploadNotFound):
            storage.uploads.renew("ada", upload_id)
    assert storage.uploads.find_missing("ada", storage.begin(), [brought.digest]) == [brought.digest]


def test_a_committed_version_outlives_its_upload(storage: Storage) -> None:
    upload_id, held = storage.begin(), chunk("held")
    storage.send(upload_id, [held])
    version = storage.commit(upload_id, [file_of("weights.bin", [held])])
    storage.sql("UPDATE upload SET ended_time = ended_time - interval '25 hours'")
    Housekeeping(storage.catalog).run_once()
    assert states(storage) == []
    assert list(storage.reading.chunks(version.ref, [held.digest])) == [held]
    assert storage.uploads.find_missing("ben", storage.begin("ben"), [held.digest]) == []


def test_request_ids_are_remembered_longer_than_any_upload_lives(storage: Storage) -> None:
    storage.models.create("ada", "once", "a.b.named", "", "")
    Housekeeping(storage.catalog).run_once()
    assert storage.sql("SELECT count(*) FROM request") == [(1,)]
    storage.sql("UPDATE request SET made_time = made_time - interval '9 days'")
    Housekeeping(storage.catalog).run_once()
    assert storage.sql("SELECT count(*) FROM request") == [(0,)]
