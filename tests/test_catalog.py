"""The catalogue in PostgreSQL: its schema, its start, its transactions and its connections."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import peewee
import psycopg
import pytest
from playhouse.schema_diff import diff_models

from storage_fixtures import MODEL, Storage, chunk, file_of, open_storage
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.errors import InvalidRequest, StartupFailed, StorageFailed, UploadNotFound
from weighbridge.core.manifest import file_manifest
from weighbridge_server.domain.journal.ports import Change, EventFilter
from weighbridge_server.domain.registry.models import Models
from weighbridge_server.storage import tables
from weighbridge_server.storage.catalog import Catalog


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage on an empty database, with few connections."""
    with open_storage(empty_database, tmp_path / "packs", connections=4) as storage:
        yield storage


# -- schema ------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_are_declared(storage: Storage) -> None:
    with storage.catalog.database.session():
        differences = diff_models(storage.catalog.database, tables.ALL)  # type: ignore[no-untyped-call]
    assert not differences, str(differences)


def test_every_declared_table_is_compared() -> None:
    declared = {value for value in vars(tables).values() if isinstance(value, type) and issubclass(value, peewee.Model)}
    assert {table for table in declared if not table.__name__.startswith("_")} == set(tables.ALL)


_TYPES = {
    tables.IdentityField: "bigint",
    peewee.BigIntegerField: "bigint",
    peewee.IntegerField: "integer",
    peewee.SmallIntegerField: "smallint",
    peewee.TextField: "text",
    peewee.BlobField: "bytea",
    peewee.BooleanField: "boolean",
    peewee.DoubleField: "double precision",
    peewee.UUIDField: "uuid",
    tables.TimestampField: "timestamp with time zone",
}


@pytest.mark.parametrize("table", tables.ALL, ids=lambda table: table.__name__)
def test_columns_have_the_declared_types_keys_and_nullability(storage: Storage, table: type[peewee.Model]) -> None:
    name = table._meta.table_name
    declared = {}
    for field in table._meta.sorted_fields:
        of = field.rel_field if isinstance(field, peewee.ForeignKeyField) else field
        declared[field.column_name] = (_TYPES[type(of)], "YES" if field.null else "NO")
    rows = storage.sql(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = %s", name
    )
    assert {column: (kind, null) for column, kind, null in rows} == declared
    keys = storage.sql(
        """
        SELECT array_agg(k.column_name::text ORDER BY k.ordinal_position) FROM information_schema.key_column_usage k
        JOIN information_schema.table_constraints c USING (constraint_name, table_name)
        WHERE c.constraint_type = 'PRIMARY KEY' AND k.table_name = %s
        """,
        name,
    )
    primary: Any = table._meta.primary_key
    fields = primary.field_names if isinstance(primary, peewee.CompositeKey) else (primary.name,)
    assert keys == [([table._meta.fields[field].column_name for field in fields],)]


@pytest.mark.parametrize("table", tables.ALL, ids=lambda table: table.__name__)
def test_foreign_keys_are_declared_as_they_are(storage: Storage, table: type[peewee.Model]) -> None:
    rows = storage.sql(
        """
        SELECT a.attname, r.relname, c.confdeltype::text FROM pg_constraint c
        JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND t.relname = %s
        """,
        table._meta.table_name,
    )
    declared = {
        (field.column_name, field.rel_model._meta.table_name, "c" if field.on_delete == "CASCADE" else "a")
        for field in table._meta.sorted_fields
        if isinstance(field, peewee.ForeignKeyField)
    }
    assert set(rows) == declared


# -- start -------------------------------------------------------------------------------------


def test_migrating_again_changes_nothing(empty_database: str) -> None:
    def applied() -> list[tuple[str, str]]:
        with psycopg.connect(empty_database) as connection:
            rows = connection.execute("SELECT name, applied::text FROM schema_migration ORDER BY name")
            return [(name, applied) for name, applied in rows]

    Catalog(empty_database, connections=2).close()
    first = applied()
    Catalog(empty_database, connections=2).close()
    assert applied() == first != []


def _start(url: str) -> str:
    Catalog(url, connections=2).close()
    return "started"


def test_servers_that_start_at_once_migrate_once(empty_database: str) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert list(processes.map(_start, [empty_database] * 4)) == ["started"] * 4
    with psycopg.connect(empty_database) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT name) FROM schema_migration").fetchone()
        assert rows is not None
        assert rows[0] == rows[1] > 0
        assert connection.execute("SELECT count(*) FROM journal_head").fetchone() == (1,)


def test_a_catalogue_of_a_newer_release_is_refused(empty_database: str) -> None:
    Catalog(empty_database, connections=2).close()
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_from_the_future', now())")
    with pytest.raises(StartupFailed, match=r"newer release.*9999_from_the_future"):
        Catalog(empty_database, connections=2)
    assert _connections(empty_database) == 0


def test_a_migration_that_fails_leaves_nothing_behind(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE event (mine text)")  # somebody else's, of the same name
    with pytest.raises(StartupFailed, match=r"cannot make the catalogue's tables .*event"):
        Catalog(empty_database, connections=2)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        left = connection.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert {name for (name,) in left} <= {"event", "schema_migration"}
        connection.execute("DROP TABLE event")
    Catalog(empty_database, connections=2).close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody@127.0.0.1:1/none",
        "postgresql://nobody@/none?host=/no/such/folder",
        "mysql://localhost/none",
        "postgresql://localhost:notaport/none",
    ],
)
def test_a_database_that_cannot_be_reached_is_named_with_advice(url: str) -> None:
    with pytest.raises(StartupFailed, match=r"cannot use the database.*postgresql://USER:PASSWORD@HOST:PORT/NAME"):
        Catalog(url, connections=2)


def _connections(url: str) -> int:
    """How many connections the catalogue has open; the server needs a moment to notice a closed one."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weighbridge'"
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(10_000):
            ((open_now,),) = connection.execute(count).fetchall()
            if not open_now:
                break
    return int(open_now)


# -- transactions ------------------------------------------------------------------------------


class Refused(Exception):
    """What a transaction may end with."""


def test_a_transaction_that_fails_leaves_neither_rows_nor_events(storage: Storage) -> None:
    with pytest.raises(Refused), storage.catalog.transaction("ada") as tx:
        assert tx.models.add("a.b.c", "ada", "")
        tx.record(Change("model.created", "a.b.c", "", "{}"))
        tx.requests.add("r", bytes(32), "a.b.c")
        raise Refused
    assert storage.sql("SELECT count(*) FROM model") == [(0,)]
    assert storage.sql("SELECT count(*) FROM event") == [(0,)]
    assert storage.sql("SELECT count(*) FROM request") == [(0,)]
    assert storage.sql("SELECT revision FROM journal_head") == [(0,)]


def test_a_transaction_whose_event_cannot_be_appended_leaves_no_rows(storage: Storage) -> None:
    storage.sql("ALTER TABLE event RENAME TO hidden")
    with pytest.raises(peewee.ProgrammingError):
        storage.models.create("ada", "", "a.b.c", "", "")
    storage.sql("ALTER TABLE hidden RENAME TO event")
    assert storage.models.list(0, "") == ([], "")
    assert storage.models.create("ada", "", "a.b.c", "", "").name == "a.b.c"
    assert storage.sql("SELECT revision FROM event") == [(1,)]


def test_a_connection_that_broke_is_reported_and_replaced(storage: Storage) -> None:
    storage.begin()
    with pytest.raises(StorageFailed) as raised, storage.catalog.transaction("ada") as tx:
        tx.models.add("left.in.doubt", "ada", "")
        storage.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'weighbridge' AND state = 'idle in transaction'"
        )
        tx.models.get("left.in.doubt")
    assert raised.value.retry_after_s is not None
    with storage.catalog.transaction() as tx:
        assert tx.models.get("left.in.doubt") is None


def test_times_are_read_back_in_utc_whatever_the_database_s_own_zone_is(empty_database: str, tmp_path: Path) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET TimeZone = 'Asia/Kolkata'")
    try:
        with open_storage(empty_database, tmp_path / "packs") as storage:
            one = chunk("times")
            version = storage.push({"a.bin": [one]})
            events, _ = storage.journal.list(0, "")
            upload_id = storage.begin()
            renewed = storage.uploads.renew("ada", upload_id)
            times = [version.created_time, events[0].time, renewed.lease_expires_time, renewed.hard_expires_time]
            assert [time.utcoffset() for time in times] == [timedelta(0)] * 4
    finally:
        with psycopg.connect(empty_database, autocommit=True) as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET TimeZone")


def test_what_the_database_cannot_keep_is_the_caller_s_fault(storage: Storage) -> None:
    version = storage.push({"a.bin": [chunk("nul")]})
    for attempt in (
        lambda: storage.models.create("ada", "request\0id", "a.b.c", "", ""),
        lambda: storage.journal.list(0, "", EventFilter(resource="a\0b")),
        lambda: list(storage.reading.read_file(version.ref, "a\0.bin", 0, 0)),
    ):
        with pytest.raises(InvalidRequest, match="cannot keep a value"):
            attempt()


@pytest.mark.parametrize("text", ["", "7", "urn:uuid:{id}", "{{{id}}}", "-{id}", "{id}\0"])
def test_what_only_resembles_an_upload_s_id_is_not_found(storage: Storage, text: str) -> None:
    upload_id = storage.begin()
    with pytest.raises(UploadNotFound):
        storage.uploads.renew("ada", text.format(id=upload_id))


# -- pages -------------------------------------------------------------------------------------


def test_pages_of_models_are_stable_while_models_are_added(storage: Storage) -> None:
    names = [f"page.model-{letter}.x" for letter in "bdfhjl"]
    for name in names:
        storage.models.create("ada", "", name, "", "")
    seen, token = storage.models.list(2, "")
    storage.models.create("ada", "", "page.model-a.x", "", "")  # before what was read
    storage.models.create("ada", "", "page.model-e.x", "", "")  # after it
    while token:
        page, token = storage.models.list(2, token)
        seen += page
    assert [model.name for model in seen] == sorted([*names, "page.model-e.x"])


def test_names_sort_by_their_bytes_whatever_the_database_s_locale_is(storage: Storage) -> None:
    names = ["a-b.c.d", "a.b.c", "a0.b.c", "ab.c.d"]
    for name in reversed(names):
        storage.models.create("ada", "", name, "", "")
    assert [model.name for model in storage.models.list(0, "")[0]] == sorted(names)


def test_pages_of_versions_are_stable_while_versions_are_committed(storage: Storage) -> None:
    content = [chunk("page")]
    for _ in range(5):
        storage.push({"a.bin": content})
    page, token = storage.versions.list("vision.defects.resnet", "", 2, "")
    seen = [version.version for version in page]
    while token:
        storage.push({"a.bin": content})
        page, token = storage.versions.list("vision.defects.resnet", "", 2, token)
        seen += [version.version for version in page]
    assert seen == [5, 4, 3, 2, 1]


def test_pages_of_events_are_stable_while_changes_are_made(storage: Storage) -> None:
    for number in range(5):
        storage.models.create("ada", "", f"a.b.m{number}", "", "")
    seen, token = storage.journal.list(2, "")
    storage.models.create("ada", "", "a.b.later", "", "")
    while token:
        page, token = storage.journal.list(2, token)
        seen += page
    assert [event.revision for event in seen] == [1, 2, 3, 4, 5, 6]


# -- size --------------------------------------------------------------------------------------


@pytest.mark.timeout(60)  # some seconds by index; a plan that reads a table for each chunk takes minutes
def test_presence_is_looked_up_by_index_although_no_statistics_say_so(storage: Storage) -> None:
    upload_id = storage.begin()
    # What the first large push leaves, before PostgreSQL has looked at it: many chunks, all of one version,
    # one of them in 500 more.
    for statement in (
        "ALTER TABLE chunk SET (autovacuum_enabled = off)",
        "ALTER TABLE content_chunk SET (autovacuum_enabled = off)",
        "ALTER TABLE version_file SET (autovacuum_enabled = off)",
        "INSERT INTO pack (id, size_bytes) VALUES (gen_random_uuid(), 1)",
        """
        INSERT INTO chunk (digest, raw_bytes, encoded_bytes, codec, pack_id, pack_offset)
        SELECT sha256(n::text::bytea), 1000, 1000, 1, id, n FROM pack, generate_series(1, 60000) n
        """,
        """
        INSERT INTO content (root, size_bytes, chunks_total)
        SELECT sha256(('root' || n)::bytea), 1000, 1 FROM generate_series(0, 500) n
        """,
        "INSERT INTO metric_log (id) OVERRIDING SYSTEM VALUE SELECT 1000 + id FROM content",
        """
        INSERT INTO version (model_id, number, manifest, stage, creator, files_total, bytes_total, chunks_total, record,
                             metric_log_id)
        SELECT m.id, c.id, c.root, 'development', 'bob', 1, 1000, 1, '', 1000 + c.id FROM model m, content c
        """,
        "INSERT INTO version_file SELECT v.id, 'a.bin', c.id FROM version v JOIN content c ON c.root = v.manifest",
        "INSERT INTO content_chunk SELECT c.id, 0, k.id FROM content c, (SELECT min(id) AS id FROM chunk) k",
        "INSERT INTO content_chunk SELECT 1, pack_offset, id FROM chunk WHERE pack_offset > 1",
    ):
        storage.sql(statement)
    digests = [bytes(digest) for (digest,) in storage.sql("SELECT digest FROM chunk ORDER BY id DESC LIMIT 16384")]
    list_of_one = [ChunkRef(digest, 1000) for digest in digests]
    assert storage.uploads.find_missing("ada", upload_id, [*digests[1:], bytes(32)]) == [bytes(32)]
    assert storage.uploads.find_missing("ada", upload_id, digests) == []
    assert storage.uploads.put_manifest("ada", upload_id, [file_manifest("a.bin", list_of_one)]) == 1
    with storage.catalog.transaction() as tx:
        assert tx.versions.outside(MODEL, 1, [*digests, bytes(32)]) == [bytes(32)]


# -- connections -------------------------------------------------------------------------------


@pytest.mark.long
def test_fifty_threads_share_four_connections(storage: Storage) -> None:
    storage.models.create("ada", "", "a.b.c", "", "")
    together = threading.Barrier(50)

    def work(number: int) -> None:
        together.wait(30)
        for turn in range(5):
            storage.models.get("a.b.c")
            storage.models.create("ada", f"{number}-{turn}", f"a.b.m{number}-{turn}", "", "")
            upload_id = storage.begin(f"user-{number}", "a.b.c")
            assert storage.store.missing(upload_id, [bytes(32)]) == [bytes(32)]

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(work, range(50)))
    assert storage.sql("SELECT count(*), max(revision) FROM event") == [(251, 251)]
    count = storage.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weighbridge'")
    assert count[0][0] <= 4


def test_who_waits_too_long_for_a_connection_is_told_to_try_again(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weighbridge_server.storage.database._BORROW_TIMEOUT_S", 0.2)
    catalog = Catalog(empty_database, connections=1)
    with closing(catalog), ThreadPoolExecutor(1) as another, catalog.transaction():
        waited = another.submit(lambda: Models(catalog).list(0, ""))
        with pytest.raises(StorageFailed, match="no free connection") as raised:
            waited.result()
    assert raised.value.retry_after_s is not None


def test_files_of_a_version_come_in_the_order_of_their_paths_bytes(storage: Storage) -> None:
    one = chunk("order")
    upload_id = storage.begin()
    storage.send(upload_id, [one])
    paths = ["Z.bin", "a/b.bin", "a-b.bin", "ä.bin", "b.bin", "🚚.bin"]
    version = storage.commit(upload_id, [file_of(path, [one]) for path in reversed(paths)])
    _, files = storage.reading.manifest(version.ref, files_only=True)
    assert [getattr(file, "path", None) for file in files] == sorted(paths, key=str.encode)
