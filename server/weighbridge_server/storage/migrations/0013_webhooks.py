"""Webhooks: cursors in the journal, and the log of what they sent."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# A webhook that is claimed is worked on by one server; what its death leaves ends by the time in the row. Actions are
# words with blanks between. The row changes with every delivery: no index has what changes.
_STATEMENTS = (
    """
    CREATE TABLE webhook (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        url text NOT NULL,
        secret text NOT NULL,
        target text COLLATE "C" NOT NULL,
        alias text NOT NULL,
        actions text NOT NULL,
        description text NOT NULL,
        actor text NOT NULL,
        created_time timestamptz NOT NULL DEFAULT now(),
        position bigint NOT NULL CHECK (position >= 0),
        paused_reason text NOT NULL DEFAULT '',
        failures integer NOT NULL DEFAULT 0,
        failing_since_time timestamptz,
        next_try_time timestamptz,
        claim uuid,
        claimed_until_time timestamptz,
        CHECK ((failures = 0) = (failing_since_time IS NULL)),
        CHECK ((claim IS NULL) = (claimed_until_time IS NULL))
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE webhook_delivery (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        webhook_id bigint NOT NULL REFERENCES webhook ON DELETE CASCADE,
        delivery_id uuid NOT NULL,
        revision bigint NOT NULL,
        attempt integer NOT NULL CHECK (attempt > 0),
        time timestamptz NOT NULL DEFAULT now(),
        http_status integer,
        error text NOT NULL,
        duration_ms integer NOT NULL
    )
    """,
    "CREATE INDEX webhook_delivery_webhook_id_id ON webhook_delivery (webhook_id, id)",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the tables."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
