"""Models: team, contact, card, and how one came to be deleted."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

_STATEMENTS = (
    """
    ALTER TABLE model
        ADD COLUMN team text NOT NULL DEFAULT '',
        ADD COLUMN contact text NOT NULL DEFAULT '',
        ADD COLUMN card text NOT NULL DEFAULT '',
        ADD COLUMN deleted_time timestamptz,
        ADD COLUMN deleted_by text,
        ADD COLUMN deletion_reason text,
        ADD CONSTRAINT model_deletion_whole CHECK (num_nulls(deleted_time, deleted_by, deletion_reason) IN (0, 3))
    """,
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Adds the columns."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
