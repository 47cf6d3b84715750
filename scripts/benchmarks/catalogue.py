"""A catalogue of many versions, made where it lies: pushing them one by one would take an hour."""

from __future__ import annotations

from pathlib import Path

import psycopg

from weighbridge_server.data_directory import DataDirectory
from weighbridge_server.postgres import EmbeddedPostgres
from weighbridge_server.storage.catalog import Catalog

MODELS = 1000
PACKAGES = 50
_ENVIRONMENTS = 2000
"""Different lists of packages."""

# `n` counts the versions, the newest last. Every run searches the same catalogue.
_STATEMENTS = (
    """
    CREATE FUNCTION pg_temp.even(what text, n integer) RETURNS double precision IMMUTABLE LANGUAGE sql
    RETURN ('x' || left(md5(what || n), 7))::bit(28)::integer / 268435456.0
    """,
    """
    INSERT INTO model (name, creator, owner, description)
    SELECT 'team' || n %% 40 || '.task' || n %% 10 || '.m' || n, 'ada', 'ada', '' FROM generate_series(1, %(models)s) n
    """,
    "INSERT INTO metric_log (names, points) SELECT 5, 500 FROM generate_series(1, %(versions)s)",
    """
    INSERT INTO package_list (digest) SELECT sha256(n::text::bytea) FROM generate_series(1, %(environments)s) n
    """,
    """
    INSERT INTO package_list_entry (list_id, name, version)
    SELECT l.id, CASE WHEN p = 1 THEN 'torch' ELSE 'package-' || p END, l.id %% 7 || '.' || (p * l.id) %% 13 || '.0'
    FROM package_list l, generate_series(1, %(packages)s) p
    """,
    """
    INSERT INTO version (model_id, number, manifest, stage, creator, created_time, files_total, bytes_total,
        chunks_total, record, metric_log_id, energy_kwh, energy_gco2e, package_list_id)
    SELECT 1 + (n * 7919) %% %(models)s, 1 + (n - 1) / %(models)s, sha256(n::text::bytea),
        CASE 1 + (n - 1) / %(models)s WHEN 50 THEN 'production' WHEN 60 THEN 'staging' WHEN 40 THEN 'archived'
            ELSE 'development' END,
        'user:' || n %% 50, timestamptz '2026-01-01' + make_interval(mins => n), 1 + n %% 20, n * 1000, n,
        (SELECT string_agg(format('"package-%%s":"%%s.%%s.0"', part, n %% 7, (part * n) %% 13), ',')
            FROM generate_series(1, %(packages)s) part),
        n, pg_temp.even('kwh', n) * 100,
        CASE WHEN n %% 50 = 0 THEN 0 WHEN n %% 5 > 0 THEN pg_temp.even('gco2e', n) * 40000 END,
        1 + (n * 31) %% %(environments)s
    FROM generate_series(1, %(versions)s) n
    """,
    """
    INSERT INTO metric_summary (log_id, version_id, name, latest, latest_step, latest_time, min, max, points)
    SELECT n, n, name, CASE WHEN n %% 997 = 0 THEN 'NaN' ELSE value END, 100, now(), value - 0.1, value + 0.1, 100
    FROM generate_series(1, %(versions)s) n
    CROSS JOIN LATERAL (
        VALUES ('accuracy', pg_temp.even('accuracy', n)), ('loss', pg_temp.even('loss', n) * 3),
            ('f1', pg_temp.even('f1', n)), ('val.loss', pg_temp.even('val.loss', n) * 3), ('rounds', n %% 7)
    ) AS metric(name, value)
    """,
    """
    INSERT INTO version_fact (version_id, section, name, number, text, truth)
    SELECT n, section, name, number, text, truth
    FROM generate_series(1, %(versions)s) n
    CROSS JOIN LATERAL (
        VALUES ('tags', 'hardware_target', NULL::double precision, (ARRAY['cpu', 'gpu'])[1 + n %% 2], NULL::boolean),
            ('tags', 'data_sensitivity', NULL, (ARRAY['public', 'internal', 'secret'])[1 + n %% 3], NULL),
            ('tags', 'dataset_version', NULL, '2026-' || n %% 12, NULL),
            ('tags', 'cost_per_inference', pg_temp.even('cost_per_inference', n) * 0.01, NULL, NULL),
            ('tags', 'team', NULL, 'team' || n %% 40, NULL),
            ('tags', 'era', NULL, CASE WHEN n < %(versions)s / 2 THEN 'old' ELSE 'new' END, NULL),
            ('tags', 'reviewed', NULL, NULL, n %% 5 = 0),
            ('params', 'lr', pg_temp.even('lr', n) * 0.01, NULL, NULL),
            ('params', 'layers', 1 + n %% 48, NULL, NULL),
            ('params', 'parity', n %% 2, NULL, NULL),
            ('params', 'batch_size', 32 * (1 + n %% 8), NULL, NULL),
            ('params', 'optimizer', NULL, (ARRAY['adam', 'sgd', 'lion'])[1 + n %% 3], NULL),
            ('params', 'seed', n, NULL, NULL),
            ('params', 'dropout', pg_temp.even('dropout', n), NULL, NULL),
            ('params', 'epochs', n %% 100, NULL, NULL),
            ('params', 'amp', NULL, NULL, true),
            ('energy', 'region', NULL, 'R' || n %% 20, NULL),
            ('energy', 'method', NULL, 'meter', NULL),
            ('source', 'repository', NULL, 'https://git.example.org/team' || n %% 40 || '/training.git', NULL),
            ('source', 'commit', NULL, md5(n::text), NULL),
            ('source', 'branch', NULL, 'main', NULL),
            ('source', 'dirty', NULL, NULL, n %% 4 = 0),
            ('source', 'entry_point', NULL, 'train.py', NULL),
            ('environment', 'python', NULL, '3.11.' || n %% 9, NULL),
            ('environment', 'implementation', NULL, 'CPython', NULL),
            ('environment', 'os', NULL, 'Debian GNU/Linux 12 (bookworm)', NULL),
            ('environment', 'platform', NULL, 'Linux 6.1.0 x86_64', NULL),
            ('environment', 'cpu', NULL, 'AMD EPYC 9B14 96-Core Processor', NULL),
            ('environment', 'cpu_count', 96, NULL, NULL),
            ('environment', 'host', NULL, 'node-' || n %% 200, NULL),
            ('', 'description', NULL, 'Run number ' || n || ', of what was tried and merged', NULL)
    ) AS fact(section, name, number, text, truth)
    """,
    """
    INSERT INTO version_dataset (version_id, ordinal, name, version, digest, uri, role)
    SELECT n, d, 'dataset-' || (n * 3 + d) %% 500, '2026-' || n %% 12, 'sha256:' || md5(((n * 3 + d) %% 5000)::text),
        's3://bucket/data', (ARRAY['train', 'test'])[1 + d]
    FROM generate_series(1, %(versions)s) n, generate_series(0, 1) d
    """,
    """
    INSERT INTO version_parent (version_id, parent_id, relation)
    SELECT n, n - %(models)s, 'fine-tuned' FROM generate_series(%(models)s + 1, %(versions)s) n
    """,
    """
    UPDATE model m SET latest_version = (SELECT max(v.number) FROM version v WHERE v.model_id = m.id)
    """,
)


def fill(data: Path, versions: int) -> None:
    """A data directory of a server whose catalogue has so many versions. Call it from the main thread."""
    values = {"versions": versions, "models": MODELS, "environments": _ENVIRONMENTS, "packages": PACKAGES}
    with DataDirectory.open(data) as directory:
        postgres = EmbeddedPostgres(directory.postgres, lock_fd=directory.lock_fd)
        url = postgres.start()
        try:
            Catalog(url, connections=1).close()
            with psycopg.connect(url, autocommit=True) as connection:
                for statement in _STATEMENTS:
                    connection.execute(statement.encode(), values)
                # What PostgreSQL does by itself, some minutes after so much was written.
                connection.execute("VACUUM ANALYZE")
        finally:
            postgres.stop()
