"""Versions: the schema revision that one passed, and how one came to be deleted and purged."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

_STATEMENTS = (
    """
    ALTER TABLE version
        ADD COLUMN schema_prefix text COLLATE "C",
        ADD COLUMN schema_revision bigint,
        ADD COLUMN deleted_time timestamptz,
        ADD COLUMN deleted_by text,
        ADD COLUMN deletion_reason text,
        ADD COLUMN purged_time timestamptz,
        ADD CONSTRAINT version_schema_whole CHECK (num_nulls(schema_prefix, schema_revision) IN (0, 2)),
        ADD CONSTRAINT version_deletion_whole CHECK (num_nulls(deleted_time, deleted_by, deletion_reason) IN (0, 3)),
        ADD CONSTRAINT version_purged_deleted CHECK (purged_time IS NULL OR deleted_time IS NOT NULL)
    """,
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Adds the columns."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
