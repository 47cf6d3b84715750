"""Principals, their tokens, and the roles that they have."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# The hash of a token's secret, and not the secret. It is a plain BLAKE3: a slow one guards what people think up, and
# nobody guesses 256 random bits.
_STATEMENTS = (
    """
    CREATE TABLE principal (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE,
        kind text NOT NULL CHECK (kind IN ('person', 'service')),
        description text NOT NULL,
        created_time timestamptz NOT NULL DEFAULT now(),
        creator text NOT NULL,
        disabled_time timestamptz,
        disabled_by text,
        CHECK ((disabled_time IS NULL) = (disabled_by IS NULL))
    )
    """,
    """
    CREATE TABLE token (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        token_id text COLLATE "C" NOT NULL UNIQUE,
        principal_id bigint NOT NULL REFERENCES principal,
        description text NOT NULL,
        secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
        created_time timestamptz NOT NULL DEFAULT now(),
        creator text NOT NULL,
        expires_time timestamptz,
        revoked_time timestamptz,
        revoked_by text,
        last_used_time timestamptz,
        CHECK ((revoked_time IS NULL) = (revoked_by IS NULL))
    )
    """,
    "CREATE INDEX token_principal_id ON token (principal_id)",
    """
    CREATE TABLE role_grant (
        principal_id bigint NOT NULL REFERENCES principal,
        prefix text COLLATE "C" NOT NULL,
        alias text COLLATE "C" NOT NULL,
        role text COLLATE "C" NOT NULL,
        granted_time timestamptz NOT NULL DEFAULT now(),
        granted_by text NOT NULL,
        PRIMARY KEY (principal_id, prefix, alias, role)
    )
    """,
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the tables."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
