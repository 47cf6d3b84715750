"""Schemas: every revision of each prefix, as it was set."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# Prefixes sort by their bytes, as names do.
_STATEMENTS = (
    """
    CREATE TABLE schema_revision (
        prefix text COLLATE "C" NOT NULL,
        revision bigint NOT NULL CHECK (revision > 0),
        json_schema text NOT NULL,
        actor text NOT NULL,
        set_time timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (prefix, revision)
    )
    """,
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the table."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
