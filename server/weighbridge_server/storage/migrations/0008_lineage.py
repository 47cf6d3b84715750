"""Which version was made from which, as rows: lines of descent are followed without reading records."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# Ids are given in the order of the commits, and a parent is committed before its child begins to be: so the check
# holds for all that is rightly there, and no line of descent can lead back to where it began.
_STATEMENTS = (
    """
    CREATE TABLE version_parent (
        version_id bigint NOT NULL REFERENCES version ON DELETE CASCADE,
        parent_id bigint NOT NULL REFERENCES version,
        relation text NOT NULL,
        PRIMARY KEY (version_id, parent_id, relation),
        CONSTRAINT version_parent_older CHECK (parent_id < version_id)
    )
    """,
    "CREATE INDEX version_parent_parent_id ON version_parent (parent_id)",
    # What earlier releases committed: records have their parents pinned as name:number.
    """
    INSERT INTO version_parent (version_id, parent_id, relation)
    SELECT DISTINCT v.id, p.id, said ->> 'relation'
    FROM version v
    CROSS JOIN LATERAL json_array_elements(v.record::json -> 'parents') AS said
    JOIN model m ON m.name = split_part(said ->> 'ref', ':', 1)
    JOIN version p ON p.model_id = m.id AND p.number = split_part(said ->> 'ref', ':', 2)::bigint
    """,
    # For what purges those that were deleted long ago.
    "CREATE INDEX version_deleted_time ON version (deleted_time)",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the table and fills it."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
