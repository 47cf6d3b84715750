"""Policies of promotion, and the approvals that they ask for."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# What an approval was given for stands beside it; whether that is still so is asked when it is read. The index keeps
# two open requests for one thing out.
_STATEMENTS = (
    """
    CREATE TABLE policy_revision (
        prefix text COLLATE "C" NOT NULL,
        target text COLLATE "C" NOT NULL,
        revision bigint NOT NULL CHECK (revision > 0),
        terms text NOT NULL,
        actor text NOT NULL,
        set_time timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (prefix, target, revision)
    )
    """,
    """
    CREATE TABLE approval_request (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        version_id bigint NOT NULL REFERENCES version,
        target text COLLATE "C" NOT NULL,
        requester text NOT NULL,
        requested_time timestamptz NOT NULL DEFAULT now(),
        comment text NOT NULL,
        closed_time timestamptz,
        done boolean NOT NULL DEFAULT false
    )
    """,
    "CREATE UNIQUE INDEX approval_request_open ON approval_request (version_id, target) WHERE closed_time IS NULL",
    "CREATE INDEX approval_request_version ON approval_request (version_id, target, id)",
    """
    CREATE TABLE approval_answer (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        request_id bigint NOT NULL REFERENCES approval_request,
        actor text NOT NULL,
        answered_time timestamptz NOT NULL DEFAULT now(),
        comment text NOT NULL,
        approved boolean NOT NULL,
        policy_prefix text NOT NULL,
        policy_revision bigint NOT NULL,
        pointer_revision bigint NOT NULL,
        record_digest bytea NOT NULL
    )
    """,
    "CREATE INDEX approval_answer_request ON approval_answer (request_id, id)",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the tables and the indexes."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
