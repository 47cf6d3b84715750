"""Rows of what versions record, one for each thing that a filter can name; written with the record, never by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from weighbridge.core.values import ENVIRONMENT_TEXTS, SOURCE_TEXTS, Dataset, Environment, Record, Scalar
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.storage.database import PooledDatabase

INDEXED_CHARS = 100
"""Of a text, so many characters stand in the indexes; a row has the longer text beside them."""


@dataclass(frozen=True)
class Fact:
    """One value that a version records."""

    section: str
    """The part of the record; empty for the record itself."""
    name: str
    value: Scalar


class FactRows:
    """The facts, datasets and packages of versions, within one transaction."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def add(self, version_id: int, record: Record) -> None:
        """Adds those of a version that has none."""
        facts = list(facts_of(record))
        texts = [fact.value if isinstance(fact.value, str) else None for fact in facts]
        self._database.rows(
            """
            INSERT INTO version_fact (version_id, section, name, number, text, truth, whole)
            SELECT %s, * FROM unnest(
                %s::text[], %s::text[], %s::double precision[], %s::text[], %s::boolean[], %s::text[]
            )
            """,
            (
                version_id,
                [fact.section for fact in facts],
                [fact.name for fact in facts],
                [None if isinstance(fact.value, str | bool) else float(fact.value) for fact in facts],
                [None if text is None else text[:INDEXED_CHARS] for text in texts],
                [fact.value if isinstance(fact.value, bool) else None for fact in facts],
                [text if text is not None and len(text) > INDEXED_CHARS else None for text in texts],
            ),
        )
        self._add_datasets(version_id, record.datasets)

    def replace(self, version_id: int, record: Record) -> None:
        """Makes them those of another record, as which this version is kept now."""
        for table in ("version_fact", "version_dataset"):
            self._database.rows(f"DELETE FROM {table} WHERE version_id = %s", (version_id,))
        self.add(version_id, record)

    def package_list(self, environment: Environment | None) -> int | None:
        """The id of the list of an environment's packages, which is stored once whatever versions have it."""
        if environment is None or not environment.packages:
            return None
        packages = environment.packages
        text = canonical_json(packages)
        find = "SELECT id FROM package_list WHERE digest = sha256(convert_to(%s, 'UTF8'))"
        rows = self._database.rows(find, (text,))
        if rows:
            return int(rows[0][0])
        made = self._database.rows(
            """
            INSERT INTO package_list (digest) VALUES (sha256(convert_to(%s, 'UTF8')))
            ON CONFLICT (digest) DO NOTHING RETURNING id
            """,
            (text,),
        )
        if not made:  # another commit made it just now, with its entries
            made = self._database.rows(find, (text,))
            return int(made[0][0])
        self._add_packages(int(made[0][0]), packages)
        return int(made[0][0])

    def _add_packages(self, list_id: int, packages: Mapping[str, str]) -> None:
        self._database.rows(
            """
            INSERT INTO package_list_entry (list_id, name, version)
            SELECT %s, * FROM unnest(%s::text[], %s::text[])
            """,
            (list_id, list(packages), [version[:INDEXED_CHARS] for version in packages.values()]),
        )

    def _add_datasets(self, version_id: int, datasets: Sequence[Dataset]) -> None:
        self._database.rows(
            """
            INSERT INTO version_dataset (version_id, ordinal, name, version, digest, uri, role)
            SELECT %s, * FROM unnest(%s::integer[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
            """,
            (
                version_id,
                list(range(len(datasets))),
                [dataset.name for dataset in datasets],
                [dataset.version for dataset in datasets],
                [dataset.digest for dataset in datasets],
                [dataset.uri for dataset in datasets],
                [dataset.role for dataset in datasets],
            ),
        )


def facts_of(record: Record) -> Iterator[Fact]:
    """What a record says, but for its lists and its figures of energy. What is not said is no fact."""
    yield Fact("", "description", record.description)
    for section, named in (("tags", record.tags), ("params", record.params)):
        for name, value in named.items():
            yield Fact(section, name, value)
    if record.source is not None:
        yield from _texts("source", record.source, SOURCE_TEXTS)
        yield Fact("source", "dirty", record.source.dirty)
    if record.environment is not None:
        yield from _texts("environment", record.environment, ENVIRONMENT_TEXTS)
        if record.environment.cpu_count:
            yield Fact("environment", "cpu_count", record.environment.cpu_count)
    if record.energy is not None:
        yield from _texts("energy", record.energy, ("region", "method"))


def _texts(section: str, part: object, names: Sequence[str]) -> Iterator[Fact]:
    for name in names:
        text = getattr(part, name)
        if text:
            yield Fact(section, name, text)
