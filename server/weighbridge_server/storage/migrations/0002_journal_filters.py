"""Events by actor, by action and by time: an audit of a long journal reads what it asks for, not everything."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# Actions sort by their bytes, so that all of "model." are one range of the index, whatever the database's locale.
_STATEMENTS = (
    'ALTER TABLE event ALTER COLUMN action TYPE text COLLATE "C"',
    "CREATE INDEX event_actor_revision ON event (actor, revision)",
    "CREATE INDEX event_action_revision ON event (action, revision)",
    "CREATE INDEX event_time ON event (time)",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the indexes."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
