"""In which tables the things are that an expression names.

``v`` is the version's row in all SQL of this package. A source has at most one row for each version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weighbridge_server.domain.expressions.typed import Field, Path
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.storage.fact_rows import INDEXED_CHARS


class Parameters:
    """Values on their way into a statement, each under a name of ours: no text of theirs is ever in its SQL."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self._names: dict[tuple[type, object], str] = {}

    def add(self, value: object) -> str:
        """The placeholder of a value."""
        # With the types, as True is 1 for Python.
        key = (type(value), tuple((type(one), one) for one in value) if isinstance(value, list) else value)
        name = self._names.setdefault(key, f"p{len(self._names)}")
        self.values[name] = value
        return f"%({name})s"


@dataclass(frozen=True)
class Source:
    """Rows of one table, of which a version has one or none."""

    table: str
    link: str
    """How a row belongs to ``v``; ``{a}`` is the row's alias, here and in what follows."""
    key: str
    """A column that is never null."""
    named: tuple[tuple[str, str], ...] = ()
    """Columns that have a value each: those that make one row of many."""
    version_id: str = ""
    """The column with the version's id; empty: ``v`` has to be joined to find it."""
    streams: bool = False
    """An index has the rows of one name in the order of the versions, with all that can be asked of them."""

    def own(self, alias: str, parameters: Parameters) -> list[str]:
        """The conditions that make it these rows."""
        there = [f"{alias}.{self.version_id} IS NOT NULL"] if self.version_id else []
        return [*(f"{alias}.{column} = {parameters.add(value)}" for column, value in self.named), *there]

    def on(self, alias: str, parameters: Parameters) -> str:
        """The condition that finds the row of ``v``."""
        return " AND ".join([self.link.format(a=alias), *self.own(alias, parameters)])


MODEL = Source("model", "{a}.id = v.model_id", "id")


def fact(section: str, name: str) -> Source:
    """A named value of the record."""
    return Source(
        "version_fact",
        "{a}.version_id = v.id",
        "version_id",
        (("section", section), ("name", name)),
        version_id="version_id",
        streams=True,
    )


def metric(name: str) -> Source:
    """A metric in short."""
    return Source(
        "metric_summary",
        "{a}.version_id = v.id",
        "version_id",
        (("name", name),),
        version_id="version_id",
        streams=True,
    )


def package(name: str) -> Source:
    """An installed package."""
    return Source("package_list_entry", "{a}.list_id = v.package_list_id", "list_id", (("name", name),))


def alias(name: str) -> Source:
    """An alias of that name, where it points at the version."""
    return Source("alias", "{a}.version_id = v.id", "version_id", (("name", name),), version_id="version_id")


@dataclass(frozen=True)
class Column:
    """Where a value is."""

    sql: str
    """With ``{a}`` for the row of ``source``."""
    source: Source | None = None
    """None: the version's own row."""
    start: str = ""
    """Of a text: a column with its first characters, which an index has. ``sql`` has all of it."""
    missing: bool = True
    """A version may lack it."""
    nan: bool = False
    indexed: bool = False
    """An index leads from a value, or a range, to the versions."""


_WHOLE_TEXT = (
    f"CASE WHEN octet_length({{a}}.text) < {INDEXED_CHARS} THEN {{a}}.text ELSE (SELECT coalesce(w.whole, w.text) "
    "FROM version_fact w WHERE (w.section, w.name, w.version_id) = ({a}.section, {a}.name, {a}.version_id)) END"
)
"""A longer text is looked up; one of fewer bytes than an index has characters is read from the index, and is whole."""

_OF_VERSION: Mapping[str, Column] = {
    "model": Column("{a}.name", MODEL, missing=False, indexed=True),
    "version": Column("v.number::double precision", missing=False),
    "ref": Column("({a}.name || ':' || v.number)", MODEL, missing=False),
    "stage": Column("v.stage", missing=False, indexed=True),
    "creator": Column("v.creator", missing=False, indexed=True),
    "created_time": Column("v.created_time", missing=False, indexed=True),
    "manifest_digest": Column("(('b3:' || encode(v.manifest, 'hex')) COLLATE \"C\")", missing=False),
    "files_total": Column("v.files_total::double precision", missing=False),
    "bytes_total": Column("v.bytes_total::double precision", missing=False),
    "chunks_total": Column("v.chunks_total::double precision", missing=False),
}
_OF_ENERGY: Mapping[str, Column] = {
    "kwh": Column("v.energy_kwh", indexed=True),
    "gco2e": Column("v.energy_gco2e", indexed=True),
}
_OF_METRIC: Mapping[str, Column] = {
    "latest": Column("{a}.latest", nan=True, indexed=True),
    "min": Column("{a}.min", nan=True, indexed=True),
    "max": Column("{a}.max", nan=True, indexed=True),
    "step": Column("{a}.latest_step::double precision"),
    "points": Column("{a}.points::double precision"),
}


def column_of(field: Field, kind: Kind) -> Column:
    """Where the value of a field of a version is, taken as of one kind."""
    match field.path:
        case ("metrics", name, part):
            of = _OF_METRIC[part]
            return Column(of.sql, metric(name), nan=of.nan, indexed=of.indexed)
        case ("environment", "packages", name):
            return Column("{a}.version", package(name), indexed=True)
        case ("energy", part) if part in _OF_ENERGY:
            return _OF_ENERGY[part]
        case (name,) if name in _OF_VERSION:
            return _OF_VERSION[name]
    source = source_of(field.path)
    assert source is not None, "everything else is a fact"
    if kind is Kind.TEXT:
        return Column(_WHOLE_TEXT, source, start="{a}.text", missing=field.path != ("description",), indexed=True)
    return Column("{a}.number" if kind is Kind.NUMBER else "{a}.truth", source, indexed=True)


def source_of(path: Path) -> Source | None:
    """What has a row where there is something at a path; None: a column of ``v``, which is null where there is not."""
    match path:
        case ("metrics", name, *_):
            return metric(name)
        case ("environment", "packages", name):
            return package(name)
        case ("aliases", name):
            return alias(name)
        case ("energy", part) if part in _OF_ENERGY:
            return None
        case (name,):
            return fact("", name)
        case (section, name):
            return fact(section, name)
    raise LookupError(f"no table holds {'.'.join(path)}")


@dataclass(frozen=True)
class ListTable:
    """Where the items of a list are: any number for each version."""

    tables: str
    version_id: str
    columns: Mapping[str, str] = field(hash=False)
    """By the names of the parts."""


LISTS: Mapping[Path, ListTable] = {
    ("datasets",): ListTable(
        "version_dataset {a}",
        "{a}.version_id",
        {name: f"{{a}}.{name}" for name in ("name", "version", "digest", "uri", "role")},
    ),
    ("parents",): ListTable(
        "version_parent {a} JOIN version {a}v ON {a}v.id = {a}.parent_id JOIN model {a}m ON {a}m.id = {a}v.model_id",
        "{a}.version_id",
        {
            "ref": "({a}m.name || ':' || {a}v.number)",
            "model": "{a}m.name",
            "version": "{a}v.number::double precision",
            "relation": '({a}.relation COLLATE "C")',
        },
    ),
}
