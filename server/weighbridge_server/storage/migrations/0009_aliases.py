"""Aliases, and the stages that one version of a model holds."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# Where an alias pointed before, and who moved it why, is in the journal, and nowhere else. The index on stages keeps a
# second holder out whatever the code does: what leaves must leave before another enters.
_STATEMENTS = (
    """
    CREATE TABLE alias (
        model_id bigint NOT NULL REFERENCES model,
        name text COLLATE "C" NOT NULL,
        version_id bigint NOT NULL REFERENCES version,
        PRIMARY KEY (model_id, name)
    )
    """,
    "CREATE INDEX alias_version_id ON alias (version_id)",
    "CREATE UNIQUE INDEX version_stage_holder ON version (model_id, stage) WHERE stage IN ('staging', 'production')",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the table and the indexes."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
