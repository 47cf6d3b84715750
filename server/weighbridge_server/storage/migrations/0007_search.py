"""What versions record as rows with indexes: searching reads what it asks for, and no record."""

from peewee import PostgresqlDatabase
from playhouse.migrate import PostgresqlMigrator

# Texts sort by their bytes ("C"), as filters compare them, whatever the database's locale. An index holds a text's
# first 100 characters; `whole` has the text where it is longer.
_TABLES = (
    """
    CREATE TABLE package_list (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        digest bytea NOT NULL UNIQUE
    )
    """,
    """
    CREATE TABLE package_list_entry (
        list_id bigint NOT NULL REFERENCES package_list ON DELETE CASCADE,
        name text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        PRIMARY KEY (list_id, name)
    )
    """,
    "CREATE INDEX package_list_entry_name_version_list_id ON package_list_entry (name, version, list_id)",
    """
    CREATE TABLE version_fact (
        version_id bigint NOT NULL REFERENCES version ON DELETE CASCADE,
        section text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        number double precision,
        text text COLLATE "C",
        truth boolean,
        whole text COLLATE "C",
        PRIMARY KEY (section, name, version_id) INCLUDE (number, text, truth),
        CONSTRAINT version_fact_one_kind CHECK (num_nonnulls(number, text, truth) = 1)
    )
    """,
    "CREATE INDEX version_fact_version_id ON version_fact (version_id)",
    """
    CREATE INDEX version_fact_number ON version_fact (section, name, number, version_id) WHERE number IS NOT NULL
    """,
    "CREATE INDEX version_fact_text ON version_fact (section, name, text, version_id) WHERE text IS NOT NULL",
    """
    CREATE TABLE version_dataset (
        version_id bigint NOT NULL REFERENCES version ON DELETE CASCADE,
        ordinal integer NOT NULL,
        name text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        digest text COLLATE "C" NOT NULL,
        uri text COLLATE "C" NOT NULL,
        role text COLLATE "C" NOT NULL,
        PRIMARY KEY (version_id, ordinal)
    )
    """,
    "CREATE INDEX version_dataset_name_version_version_id ON version_dataset (name, version, version_id)",
    "CREATE INDEX version_dataset_digest_version_id ON version_dataset (digest, version_id)",
    """
    ALTER TABLE version
        ALTER COLUMN stage TYPE text COLLATE "C",
        ALTER COLUMN creator TYPE text COLLATE "C",
        ADD COLUMN energy_kwh double precision,
        ADD COLUMN energy_gco2e double precision,
        ADD COLUMN package_list_id bigint REFERENCES package_list
    """,
    "ALTER TABLE metric_summary ADD COLUMN version_id bigint REFERENCES version ON DELETE CASCADE",
)
# The JSON of a record, member by member. What is not said is not there: an empty text, a number that is not known.
_BACKFILL = (
    """
    INSERT INTO version_fact (version_id, section, name, number, text, truth, whole)
    SELECT v.id, section, named.key, coalesce(named.value ->> 'int', named.value ->> 'double')::double precision,
        left(named.value ->> 'string', 100), (named.value ->> 'bool')::boolean,
        CASE WHEN length(named.value ->> 'string') > 100 THEN named.value ->> 'string' END
    FROM version v
    CROSS JOIN unnest(ARRAY['tags', 'params']) AS section
    CROSS JOIN LATERAL json_each(v.record::json -> section) AS named
    """,
    """
    INSERT INTO version_fact (version_id, section, name, text, whole)
    SELECT v.id, section, name, left(said, 100), CASE WHEN length(said) > 100 THEN said END
    FROM version v
    CROSS JOIN (
        VALUES ('source', 'repository'), ('source', 'commit'), ('source', 'branch'), ('source', 'diff_digest'),
            ('source', 'untracked_digest'), ('source', 'entry_point'),
            ('environment', 'python'), ('environment', 'implementation'), ('environment', 'os'),
            ('environment', 'platform'), ('environment', 'cpu'), ('environment', 'container_image'),
            ('environment', 'lock_file'), ('environment', 'lock_digest'), ('environment', 'host'),
            ('environment', 'user'), ('energy', 'region'), ('energy', 'method')
    ) AS known(section, name)
    CROSS JOIN LATERAL (SELECT v.record::json -> section ->> name) AS member(said)
    WHERE said <> ''
    """,
    """
    INSERT INTO version_fact (version_id, section, name, text, whole)
    SELECT v.id, '', 'description', left(said, 100), CASE WHEN length(said) > 100 THEN said END
    FROM version v CROSS JOIN LATERAL (SELECT v.record::json ->> 'description') AS member(said)
    """,
    """
    INSERT INTO version_fact (version_id, section, name, truth)
    SELECT v.id, 'source', 'dirty', coalesce((v.record::json -> 'source' ->> 'dirty')::boolean, false)
    FROM version v WHERE v.record::json -> 'source' IS NOT NULL
    """,
    """
    INSERT INTO version_fact (version_id, section, name, number)
    SELECT v.id, 'environment', 'cpu_count', (v.record::json -> 'environment' ->> 'cpu_count')::double precision
    FROM version v WHERE v.record::json -> 'environment' ->> 'cpu_count' IS NOT NULL
    """,
    """
    INSERT INTO version_dataset (version_id, ordinal, name, version, digest, uri, role)
    SELECT v.id, said.ordinal - 1, said.value ->> 'name', said.value ->> 'version', said.value ->> 'digest',
        said.value ->> 'uri', said.value ->> 'role'
    FROM version v
    CROSS JOIN LATERAL json_array_elements(v.record::json -> 'datasets') WITH ORDINALITY AS said(value, ordinal)
    """,
    "UPDATE metric_summary s SET version_id = v.id FROM version v WHERE v.metric_log_id = s.log_id",
    """
    CREATE TEMPORARY TABLE packages_of ON COMMIT DROP AS
    SELECT v.id AS version_id, v.record::json #> '{environment,packages}' AS packages,
        sha256(convert_to((v.record::json #> '{environment,packages}')::text, 'UTF8')) AS digest
    FROM version v WHERE v.record::json #> '{environment,packages}' IS NOT NULL
    """,
    "INSERT INTO package_list (digest) SELECT DISTINCT digest FROM packages_of",
    """
    INSERT INTO package_list_entry (list_id, name, version)
    SELECT l.id, package.key, left(package.value, 100)
    FROM package_list l
    CROSS JOIN LATERAL (SELECT packages FROM packages_of p WHERE p.digest = l.digest LIMIT 1) AS one
    CROSS JOIN LATERAL json_each_text(one.packages) AS package
    """,
    """
    UPDATE version v SET
        energy_kwh = (v.record::json -> 'energy' ->> 'kwh')::double precision,
        energy_gco2e = (v.record::json -> 'energy' ->> 'gco2e')::double precision,
        package_list_id = (
            SELECT l.id FROM packages_of p JOIN package_list l ON l.digest = p.digest WHERE p.version_id = v.id
        )
    """,
)
_INDEXES = (
    "CREATE INDEX version_stage_id ON version (stage, id)",
    "CREATE INDEX version_creator_id ON version (creator, id)",
    "CREATE INDEX version_created_time_id ON version (created_time, id)",
    "CREATE INDEX version_package_list_id ON version (package_list_id)",
    "CREATE INDEX version_energy_kwh ON version (energy_kwh, id) WHERE energy_kwh IS NOT NULL",
    "CREATE INDEX version_energy_gco2e ON version (energy_gco2e, id) WHERE energy_gco2e IS NOT NULL",
    # What joins and computed orders ask, side by side: who must look at all versions does not read their records. In
    # the order of what is joined, so that nothing has to be sorted first. Narrow: all of an entry is read.
    """
    CREATE INDEX version_listed_energy ON version (id)
    INCLUDE (model_id, energy_kwh, energy_gco2e) WHERE deleted_time IS NULL
    """,
    """
    CREATE INDEX version_listed_figures ON version (id)
    INCLUDE (model_id, number, created_time, files_total, bytes_total, chunks_total) WHERE deleted_time IS NULL
    """,
    # Of committed versions only: while training runs, its newest points change none of these.
    "DROP INDEX metric_summary_name_latest, metric_summary_name_min, metric_summary_name_max",
    "CREATE INDEX metric_summary_version_id ON metric_summary (version_id) WHERE version_id IS NOT NULL",
    "CREATE INDEX metric_summary_latest ON metric_summary (name, latest, version_id) WHERE version_id IS NOT NULL",
    "CREATE INDEX metric_summary_min ON metric_summary (name, min, version_id) WHERE version_id IS NOT NULL",
    "CREATE INDEX metric_summary_max ON metric_summary (name, max, version_id) WHERE version_id IS NOT NULL",
    # The planner takes columns for independent of each other, and a name's most common value for one among all.
    "CREATE STATISTICS version_fact_texts (mcv) ON section, name, text FROM version_fact",
    "CREATE STATISTICS version_fact_numbers (mcv) ON section, name, number FROM version_fact",
    "ALTER STATISTICS version_fact_texts SET STATISTICS 1000",
    "ALTER STATISTICS version_fact_numbers SET STATISTICS 1000",
    """
    CREATE INDEX metric_summary_listed ON metric_summary (name, version_id)
    INCLUDE (latest, latest_step, min, max, points) WHERE version_id IS NOT NULL
    """,
)


def up(migrator: PostgresqlMigrator, db: PostgresqlDatabase) -> None:
    """Makes the tables, fills them from the records, and makes the indexes."""
    for statement in (*_TABLES, *_BACKFILL, *_INDEXES):
        db.execute_sql(statement)
