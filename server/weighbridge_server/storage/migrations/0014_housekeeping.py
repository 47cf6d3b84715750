"""What housekeeping looks for each minute has an index, and what retired leaves no row: the journal has it."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

_STATEMENTS = (
    "CREATE INDEX request_made_time ON request (made_time)",
    # Without those that were purged: they stay for good, and are the oldest.
    "DROP INDEX version_deleted_time",
    """
    CREATE INDEX version_deleted_time ON version (deleted_time)
    WHERE deleted_time IS NOT NULL AND purged_time IS NULL
    """,
    "DELETE FROM deployment WHERE retired_time IS NOT NULL",
    "ALTER TABLE deployment DROP COLUMN retired_time",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the indexes, and drops the column."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
