"""The connection to PostgreSQL: peewee over a psycopg pool, and the migrations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee
import psycopg
from playhouse.migrations import Runner
from psycopg_pool import ConnectionPool, PoolTimeout

from weighbridge.core.errors import InvalidRequest, StartupFailed, StorageFailed

OLDEST_POSTGRES = 15
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x7765696768  # "weigh": one process migrates, the others wait for it
_BORROW_TIMEOUT_S = 20.0

_log = logging.getLogger(__name__)


class PooledDatabase(peewee.PostgresqlDatabase):
    """peewee's database on connections of psycopg's pool.

    peewee connects while it holds a lock that closing needs too, so a wait for a free connection there
    would block those that could free one. The connection is therefore borrowed before peewee connects.
    """

    def __init__(self, url: str, *, connections: int) -> None:
        """A pool; nothing is connected until ``open``.

        ``url``: a ``postgresql://`` URL or a libpq conninfo string.
        """
        super().__init__("weighbridge", prefer_psycopg3=True)
        self._url = url
        self._borrowed = threading.local()
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            timeout=_BORROW_TIMEOUT_S,
            kwargs={"autocommit": True, "application_name": "weighbridge"},
            configure=_configure,
            open=False,
        )

    @contextmanager
    def session(self) -> Iterator[None]:
        """Borrows a connection for this thread and the length of the block.

        Raises:
            StorageFailed: no connection is to be had, or it broke.
            InvalidRequest: a value cannot be kept, such as a text with a NUL character.
        """
        try:
            with self._pool.connection() as connection:
                self._borrowed.connection = connection
                with self.connection_context():
                    yield
        except PoolTimeout as fault:
            raise StorageFailed("the server has no free connection to its database", retry_after_s=1.0) from fault
        except (
            psycopg.OperationalError,
            peewee.InternalError,  # among them: read only, as a replica is until its failover is known
            peewee.OperationalError,
            peewee.InterfaceError,
        ) as fault:
            _log.warning("database failure: %s", fault)
            raise StorageFailed("the server lost its database; try again", retry_after_s=1.0) from fault
        except (psycopg.DataError, peewee.DataError) as fault:
            raise InvalidRequest(f"the database cannot keep a value of this call: {_one_line(fault)}") from fault

    def _connect(self) -> Any:
        return self._borrowed.connection

    def _close(self, conn: Any) -> None:
        """The pool takes it back when the session ends."""

    def rows(self, sql: str, params: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        cursor = self.execute_sql(sql, params)
        return cursor.fetchall() if cursor.description else []

    def open(self) -> None:
        """Connects, and checks that this is a PostgreSQL that will do.

        Raises:
            StartupFailed: it cannot be reached, or is too old.
        """
        try:
            with psycopg.connect(self._url, connect_timeout=10) as connection:
                version = connection.info.server_version // 10_000
        except (psycopg.OperationalError, psycopg.ProgrammingError) as fault:
            raise StartupFailed(
                f"cannot use the database ({_one_line(fault)}). "
                "Check --database, which is written postgresql://USER:PASSWORD@HOST:PORT/NAME"
            ) from fault
        if version < OLDEST_POSTGRES:
            raise StartupFailed(f"the database is PostgreSQL {version}; {OLDEST_POSTGRES} or newer is needed")
        try:
            self._pool.open(wait=True, timeout=_BORROW_TIMEOUT_S)
        except PoolTimeout as fault:
            self._pool.close()
            raise StartupFailed(
                "the database answers, but has no connection to spare; raise its max_connections or close others"
            ) from fault

    def shut(self) -> None:
        """Closes all connections."""
        self._pool.close()


def migrate(database: PooledDatabase) -> None:
    """Brings the catalogue to this release's schema; one process at a time.

    Raises:
        StartupFailed: the catalogue was written by a newer release, or the tables cannot be made.
    """
    try:
        _migrate(database)
    except (peewee.ProgrammingError, peewee.IntegrityError, peewee.InternalError) as fault:
        raise StartupFailed(
            f"cannot make the catalogue's tables ({_one_line(fault)}). "
            "The user in --database needs CREATE in the schema that it writes to"
        ) from fault


def _migrate(database: PooledDatabase) -> None:
    with database.session():
        database.rows("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        try:
            runner = Runner(database, str(_MIGRATIONS), table_name="schema_migration")
            unknown = [step.name for step in runner.status() if step.path is None]
            if unknown:
                raise StartupFailed(
                    f"the catalogue was written by a newer release (it has {', '.join(unknown)}); "
                    "start that release, or restore a backup of this one"
                )
            applied = runner.up()
            if applied:
                _log.info("catalogue migrated: %s", ", ".join(applied))
        finally:
            database.rows("SELECT pg_advisory_unlock(%s)", (_MIGRATION_LOCK,))


def _configure(connection: psycopg.Connection[Any]) -> None:
    """Settings of every connection, whatever the database's own are."""
    connection.execute("SET TIME ZONE 'UTC'")  # the zone that timestamptz is read back in
    connection.execute("SET jit = off")  # compiling takes longer than any statement here runs


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())
