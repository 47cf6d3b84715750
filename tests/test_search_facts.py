"""What searching reads is kept with the records: by commits and changes, and for old records by the migration."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import weighbridge as wb
from search_universe import universe
from storage_fixtures import Storage
from weighbridge_server.domain.expressions.check import check_condition, check_order
from weighbridge_server.domain.expressions.parse import parse_condition, parse_order
from weighbridge_server.domain.search.orders import sections_of
from weighbridge_server.domain.search.ports import Search
from weighbridge_server.domain.search.version_names import VERSION
from weighbridge_server.storage import migrations
from weighbridge_server.storage.search import rows
from weighbridge_server.storage.search.narrowing import narrowed
from weighbridge_server.storage.search.sources import Parameters
from weighbridge_server.storage.search.statements import Part, among, listed, walked

TABLES = (
    "SELECT version_id, section, name, number, text, truth, whole FROM version_fact ORDER BY 1, 2, 3",
    "SELECT version_id, ordinal, name, version, digest, uri, role FROM version_dataset ORDER BY 1, 2",
    "SELECT log_id, name, version_id FROM metric_summary ORDER BY 1, 2",
    """
    SELECT v.id, v.energy_kwh, v.energy_gco2e, l.digest, e.name, e.version FROM version v
    LEFT JOIN package_list l ON l.id = v.package_list_id LEFT JOIN package_list_entry e ON e.list_id = l.id
    ORDER BY v.id, e.name
    """,
)


@pytest.fixture
def storage(postgres_url: str, tmp_path: Path) -> Iterator[Storage]:
    with universe(postgres_url, tmp_path / "packs", count=30) as (storage, _):
        yield storage


def kept(storage: Storage) -> list[list[tuple[Any, ...]]]:
    return [storage.sql(table) for table in TABLES]


def test_the_migration_makes_of_old_records_what_a_commit_makes_of_them(storage: Storage) -> None:
    before = kept(storage)
    assert all(before)
    path = Path(next(iter(migrations.__path__))) / "0007_search.py"
    spec = importlib.util.spec_from_file_location("migration", path)
    assert spec is not None
    assert spec.loader is not None
    migration = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(migration)
    with psycopg.connect(storage.url) as connection:
        connection.execute("UPDATE version SET energy_kwh = NULL, energy_gco2e = NULL, package_list_id = NULL")
        connection.execute("UPDATE metric_summary SET version_id = NULL")
        for table in ("version_fact", "version_dataset", "package_list_entry", "package_list"):
            connection.execute(f"DELETE FROM {table}".encode())
        for statement in migration._BACKFILL:
            connection.execute(statement)
    assert kept(storage) == before


def test_a_list_of_packages_is_kept_once_whatever_versions_have_it(storage: Storage) -> None:
    ((lists, versions),) = storage.sql(
        "SELECT count(DISTINCT package_list_id), count(package_list_id) FROM version WHERE package_list_id IS NOT NULL"
    )
    assert storage.sql("SELECT count(*) FROM package_list") == [(lists,)]
    assert lists <= 3 < versions


def test_a_search_that_takes_too_long_is_ended_and_says_so(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rows._SETTINGS, "statement_timeout", "1ms")
    slow = " && ".join(
        f'datasets.all(d{n}, datasets.exists(e, e.name != "{n}" || d{n}.name != e.uri))' for n in range(80)
    )
    with pytest.raises(wb.LimitExceeded, match="within 10 s; name a model"):
        storage.versions.list("", "", 100, "", condition=slow)
    monkeypatch.undo()
    storage.versions.list("", "", 100, "", condition=slow)


def test_every_name_and_value_is_a_parameter() -> None:
    texts = [f"canary-{number}" for number in range(9)]
    condition = check_condition(
        parse_condition(
            f'tags["{texts[0]}"] == "{texts[1]}" && metrics["{texts[2]}"] > 1 '
            f'&& (environment.packages["{texts[3]}"].matches("{texts[4]}") || "{texts[5]}" in aliases) '
            f'&& datasets.exists(d, d.name in ["{texts[6]}", "b"] && d.uri.contains("{texts[7]}"))'
        ),
        VERSION,
    )
    order = sections_of(check_order(parse_order(f'params["{texts[8]}"] desc, created_time'), VERSION))
    for section in order:
        parameters = Parameters()
        part = Part(Search("", None, False, condition, order), section, 9, None, 10, [], True)
        statements = [
            among(part, [1], parameters),
            walked(part, 10, parameters),
            listed(part, parameters),
            *narrowed(condition, 10, parameters, guarded=True),
        ]
        assert "canary" not in "".join(statements)
        given = repr(list(parameters.values.values()))
        assert all(text in given for text in texts)


def test_equal_values_are_one_parameter_where_they_are_of_one_kind() -> None:
    parameters = Parameters()
    values = [1.0, True, "1", [1.0], [True], ["1"], 1.0]
    names = [parameters.add(value) for value in values]
    assert len(set(names)) == 6
    assert names[0] == names[-1]
