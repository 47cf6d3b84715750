"""Deployments: which node runs what, and when it last said so."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# The model's name is empty where what runs is not registered. Reports come every few seconds from every node, and
# change `reported_time` alone: no index has it, so that such an update rewrites no index.
_STATEMENTS = (
    """
    CREATE TABLE deployment (
        model text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        version_id bigint REFERENCES version,
        manifest bytea NOT NULL CHECK (octet_length(manifest) = 32),
        alias text NOT NULL,
        actor text NOT NULL,
        since_time timestamptz NOT NULL DEFAULT now(),
        reported_time timestamptz NOT NULL DEFAULT now(),
        ttl_s integer NOT NULL CHECK (ttl_s > 0),
        retired_time timestamptz,
        PRIMARY KEY (model, node),
        CHECK ((model = '') = (version_id IS NULL))
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX deployment_node ON deployment (node)",
    "CREATE INDEX deployment_version_id ON deployment (version_id)",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the table."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
