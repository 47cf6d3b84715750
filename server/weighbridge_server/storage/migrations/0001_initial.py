"""The first schema: models, versions and their files, packs and chunks, uploads, the journal."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# Names and paths sort by their bytes ("C"), as page keys and manifests do, whatever the database's locale.
_STATEMENTS = (
    """
    CREATE TABLE model (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE,
        creator text NOT NULL,
        owner text NOT NULL,
        description text NOT NULL,
        created_time timestamptz NOT NULL DEFAULT now(),
        latest_version bigint NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE pack (
        id uuid PRIMARY KEY,
        size_bytes bigint NOT NULL,
        sealed_time timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE chunk (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
        raw_bytes integer NOT NULL CHECK (raw_bytes > 0),
        encoded_bytes integer NOT NULL CHECK (encoded_bytes > 0),
        codec smallint NOT NULL,
        pack_id uuid NOT NULL REFERENCES pack,
        pack_offset bigint NOT NULL,
        damaged boolean NOT NULL DEFAULT false
    )
    """,
    "CREATE INDEX chunk_pack_id ON chunk (pack_id)",
    """
    CREATE TABLE content (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        root bytea NOT NULL UNIQUE CHECK (octet_length(root) = 32),
        size_bytes bigint NOT NULL,
        chunks_total bigint NOT NULL
    )
    """,
    """
    CREATE TABLE content_chunk (
        content_id bigint NOT NULL REFERENCES content ON DELETE CASCADE,
        ordinal integer NOT NULL,
        chunk_id bigint NOT NULL REFERENCES chunk,
        PRIMARY KEY (content_id, ordinal)
    )
    """,
    "CREATE INDEX content_chunk_chunk_id ON content_chunk (chunk_id)",
    """
    CREATE TABLE version (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        model_id bigint NOT NULL REFERENCES model,
        number bigint NOT NULL CHECK (number > 0),
        manifest bytea NOT NULL CHECK (octet_length(manifest) = 32),
        stage text NOT NULL,
        creator text NOT NULL,
        created_time timestamptz NOT NULL DEFAULT now(),
        files_total bigint NOT NULL,
        bytes_total bigint NOT NULL,
        chunks_total bigint NOT NULL,
        record text NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX version_model_id_number ON version (model_id, number)",
    "CREATE INDEX version_manifest ON version (manifest)",
    """
    CREATE TABLE version_file (
        version_id bigint NOT NULL REFERENCES version ON DELETE CASCADE,
        path text COLLATE "C" NOT NULL,
        content_id bigint NOT NULL REFERENCES content,
        PRIMARY KEY (version_id, path)
    )
    """,
    "CREATE INDEX version_file_content_id ON version_file (content_id)",
    """
    CREATE TABLE metric_point (
        version_id bigint NOT NULL REFERENCES version ON DELETE CASCADE,
        sequence bigint NOT NULL,
        name text NOT NULL,
        step bigint NOT NULL,
        time timestamptz NOT NULL DEFAULT now(),
        value double precision NOT NULL,
        PRIMARY KEY (version_id, sequence)
    )
    """,
    "CREATE INDEX metric_point_version_id_name_step_time ON metric_point (version_id, name, step, time)",
    """
    CREATE TABLE upload (
        id uuid PRIMARY KEY,
        model_id bigint NOT NULL REFERENCES model,
        actor text NOT NULL,
        state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'committed', 'aborted', 'expired')),
        record text NOT NULL,
        begun_time timestamptz NOT NULL DEFAULT now(),
        lease_expires_time timestamptz NOT NULL,
        hard_expires_time timestamptz NOT NULL,
        ended_time timestamptz,
        version_id bigint REFERENCES version,
        commit_digest bytea
    )
    """,
    "CREATE INDEX upload_actor ON upload (actor)",
    """
    CREATE TABLE upload_chunk (
        upload_id uuid NOT NULL REFERENCES upload ON DELETE CASCADE,
        chunk_id bigint NOT NULL REFERENCES chunk,
        PRIMARY KEY (upload_id, chunk_id)
    )
    """,
    "CREATE INDEX upload_chunk_chunk_id ON upload_chunk (chunk_id)",
    """
    CREATE TABLE upload_file (
        upload_id uuid NOT NULL REFERENCES upload ON DELETE CASCADE,
        path text COLLATE "C" NOT NULL,
        content_id bigint NOT NULL REFERENCES content,
        PRIMARY KEY (upload_id, path)
    )
    """,
    "CREATE INDEX upload_file_content_id ON upload_file (content_id)",
    """
    CREATE TABLE request (
        actor text NOT NULL,
        request_id text NOT NULL,
        payload bytea NOT NULL,
        result text NOT NULL,
        made_time timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (actor, request_id)
    )
    """,
    """
    CREATE TABLE journal_head (
        id smallint PRIMARY KEY CHECK (id = 1),
        revision bigint NOT NULL,
        hash bytea NOT NULL
    )
    """,
    "INSERT INTO journal_head (id, revision, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'))",
    """
    CREATE TABLE event (
        revision bigint PRIMARY KEY,
        time timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        resource text COLLATE "C" NOT NULL,
        before text NOT NULL,
        after text NOT NULL,
        previous_hash bytea NOT NULL,
        hash bytea NOT NULL
    )
    """,
    "CREATE INDEX event_resource_revision ON event (resource, revision)",
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the tables."""
    for statement in _STATEMENTS:
        db.execute_sql(statement)
