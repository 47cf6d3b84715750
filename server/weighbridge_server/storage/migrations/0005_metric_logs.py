"""Metrics: curves that belong to a log, which an upload fills and a version takes over, in blocks of points."""

import struct
from itertools import groupby

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# Names sort by their bytes ("C"), as everywhere. A block's columns are arrays of 64-bit numbers, little-endian: a
# million points are some hundred rows, which cost nothing to parse.
_TABLES = (
    """
    CREATE TABLE metric_log (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        names bigint NOT NULL DEFAULT 0,
        points bigint NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE metric_writer (
        log_id bigint NOT NULL REFERENCES metric_log ON DELETE CASCADE,
        writer text COLLATE "C" NOT NULL,
        last_sequence bigint NOT NULL,
        PRIMARY KEY (log_id, writer)
    )
    """,
    """
    CREATE TABLE metric_block (
        log_id bigint NOT NULL REFERENCES metric_log ON DELETE CASCADE,
        name text COLLATE "C" NOT NULL,
        first_point bigint NOT NULL,
        points bigint NOT NULL CHECK (points > 0),
        steps bytea NOT NULL CHECK (octet_length(steps) = 8 * points),
        times bytea NOT NULL CHECK (octet_length(times) = 8 * points),
        values bytea NOT NULL CHECK (octet_length(values) = 8 * points),
        PRIMARY KEY (log_id, name, first_point)
    )
    """,
    # Not compressed: PostgreSQL's takes seven times as long as the rest of an append, and saves a third.
    """
    ALTER TABLE metric_block
        ALTER COLUMN steps SET STORAGE EXTERNAL,
        ALTER COLUMN times SET STORAGE EXTERNAL,
        ALTER COLUMN values SET STORAGE EXTERNAL
    """,
    """
    CREATE TABLE metric_summary (
        log_id bigint NOT NULL REFERENCES metric_log ON DELETE CASCADE,
        name text COLLATE "C" NOT NULL,
        latest double precision NOT NULL,
        latest_step bigint NOT NULL,
        latest_time timestamptz NOT NULL,
        min double precision NOT NULL,
        max double precision NOT NULL,
        points bigint NOT NULL CHECK (points > 0),
        PRIMARY KEY (log_id, name)
    )
    """,
    "CREATE INDEX metric_summary_name_latest ON metric_summary (name, latest)",
    "CREATE INDEX metric_summary_name_min ON metric_summary (name, min)",
    "CREATE INDEX metric_summary_name_max ON metric_summary (name, max)",
)
_OWNERS = (
    "ALTER TABLE version ADD COLUMN metric_log_id bigint",
    "ALTER TABLE upload ADD COLUMN metric_log_id bigint",
    "UPDATE version SET metric_log_id = nextval(pg_get_serial_sequence('metric_log', 'id'))",
    "UPDATE upload SET metric_log_id = nextval(pg_get_serial_sequence('metric_log', 'id')) WHERE state = 'open'",
    """
    INSERT INTO metric_log (id, names, points) OVERRIDING SYSTEM VALUE
    SELECT v.metric_log_id, count(DISTINCT p.name), count(p.name)
    FROM version v LEFT JOIN metric_point p ON p.version_id = v.id GROUP BY v.metric_log_id
    """,
    """
    INSERT INTO metric_log (id) OVERRIDING SYSTEM VALUE
    SELECT metric_log_id FROM upload WHERE metric_log_id IS NOT NULL
    """,
    """
    ALTER TABLE version
        ALTER COLUMN metric_log_id SET NOT NULL,
        ADD CONSTRAINT version_metric_log_id_fkey FOREIGN KEY (metric_log_id) REFERENCES metric_log
    """,
    """
    ALTER TABLE upload
        ADD CONSTRAINT upload_metric_log_id_fkey FOREIGN KEY (metric_log_id) REFERENCES metric_log,
        ADD CONSTRAINT upload_open_metric_log CHECK (state <> 'open' OR metric_log_id IS NOT NULL)
    """,
    "CREATE UNIQUE INDEX version_metric_log_id ON version (metric_log_id)",
    "CREATE UNIQUE INDEX upload_metric_log_id ON upload (metric_log_id)",
)
# PostgreSQL sorts NaN above every number: it is no maximum here, unless there is nothing else.
_SUMMARIES = """
    INSERT INTO metric_summary (log_id, name, latest, latest_step, latest_time, min, max, points)
    SELECT DISTINCT ON (v.metric_log_id, p.name) v.metric_log_id, p.name, p.value, p.step, p.time,
        coalesce(min(p.value) FILTER (WHERE p.value <> 'NaN') OVER curve, 'NaN'),
        coalesce(max(p.value) FILTER (WHERE p.value <> 'NaN') OVER curve, 'NaN'),
        count(*) OVER curve
    FROM metric_point p JOIN version v ON v.id = p.version_id
    WINDOW curve AS (PARTITION BY v.metric_log_id, p.name)
    ORDER BY v.metric_log_id, p.name, p.step DESC, p.time DESC, p.sequence DESC
"""


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the tables, moves what there is, and drops the table of single points."""
    for statement in (*_TABLES, *_OWNERS, _SUMMARIES):
        db.execute_sql(statement)
    logs = db.execute_sql(
        "SELECT metric_log_id, id FROM version WHERE metric_log_id IN (SELECT log_id FROM metric_summary)"
    )
    for log_id, version_id in logs.fetchall():
        _move_points(db, log_id, version_id)
    db.execute_sql("DROP TABLE metric_point")


def _move_points(db: PostgresqlDatabase, log_id: int, version_id: int) -> None:
    points = db.execute_sql(
        """
        SELECT name, step, (extract(epoch FROM time) * 1000000)::bigint, value FROM metric_point
        WHERE version_id = %s ORDER BY name COLLATE "C", sequence
        """,
        (version_id,),
    )
    for name, rows in groupby(points.fetchall(), key=lambda row: row[0]):
        _, steps, times, values = zip(*rows, strict=True)
        arrays = [
            struct.pack(f"<{len(steps)}{kind}", *column)
            for kind, column in zip("qqd", (steps, times, values), strict=True)
        ]
        db.execute_sql(
            """
            INSERT INTO metric_block (log_id, name, first_point, points, steps, times, values)
            VALUES (%s, %s, 0, %s, %s, %s, %s)
            """,
            (log_id, name, len(steps), *arrays),
        )
