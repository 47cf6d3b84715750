"""The statements of a page: each finds the first versions of a section, behind a position, in a way of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from weighbridge_server.domain.expressions.typed import As, Field, Present, Typed, inside
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.domain.search_ports import Position, Search, Section, SortKey
from weighbridge_server.storage.search.conditions import Conditions
from weighbridge_server.storage.search.ordering import column, first_has, ordering
from weighbridge_server.storage.search.sources import Parameters, Source, column_of, source_of

_MOST_JOINED = 6
"""Sources that are joined; the planner's time grows with each, so the others are asked for by subqueries."""


@dataclass(frozen=True)
class Part:
    """What is wanted of one section."""

    search: Search
    section: Section
    newest: int
    after: Position | None
    size: int
    guarded: bool
    """Arithmetic looks before it may overflow."""


def among(part: Part, ids: Sequence[int], parameters: Parameters) -> str:
    """The first of these versions."""
    few = f"v.id = ANY({parameters.add(list(ids))}::bigint[])"
    return _statement(part, "version v", {}, [few, *in_question(part.search, part.newest, parameters)], parameters)


def walked(part: Part, most: int, parameters: Parameters) -> str:
    """The first, if they are among the ``most`` that an index has first in this order; empty: no index has it.

    What is equal in the first key to the last of these is left out: there may be more of it.
    """
    walk = _walk(part, parameters)
    if not walk:
        return ""
    wanted = []
    if part.section.keys:
        edge = (
            "w.k > (SELECT min(k) FROM walked)"
            if part.section.keys[0].descending
            else "w.k < (SELECT max(k) FROM walked)"
        )
        wanted.append(f"({edge} OR (SELECT count(*) FROM walked) < {most})")
    statement = _statement(part, "walked w JOIN version v ON v.id = w.id", {}, wanted, parameters)
    return f"WITH walked AS MATERIALIZED ({walk} LIMIT {most}) {statement}"


def listed(part: Part, parameters: Parameters) -> str:
    """The first of all, whatever it takes."""
    joined = {source: f"j{place}" for place, source in enumerate(islice(dict.fromkeys(_sources(part)), _MOST_JOINED))}
    tables = [f"LEFT JOIN {source.table} {alias} ON {source.on(alias, parameters)}" for source, alias in joined.items()]
    wanted = in_question(part.search, part.newest, parameters)
    return _statement(part, " ".join(["version v", *tables]), joined, wanted, parameters)


def in_question(search: Search, newest: int, parameters: Parameters) -> list[str]:
    """What holds of all versions that the list may have, whatever its condition is."""
    wanted = [f"v.id <= {parameters.add(newest)}"]
    if not search.deleted:
        wanted.append("v.deleted_time IS NULL")
    if search.model:
        wanted.append(of_model(search.model, parameters))
    else:
        wanted.append("v.model_id NOT IN (SELECT id FROM model WHERE deleted_time IS NOT NULL)")
    if search.manifest is not None:
        wanted.append(f"v.manifest = {parameters.add(search.manifest)}")
    return wanted


def of_model(name: str, parameters: Parameters) -> str:
    """True of the versions of a model."""
    return f"v.model_id = (SELECT id FROM model WHERE name = {parameters.add(name)})"


def _statement(
    part: Part, tables: str, joined: Mapping[Source, str], wanted: Sequence[str], parameters: Parameters
) -> str:
    conditions = Conditions(parameters, joined, guarded=part.guarded)
    order = ordering(part.section, part.after, conditions, parameters)
    keys = "".join(f", {sql} AS k{place}" for place, sql in enumerate(order.keys))
    all_wanted = [*wanted, *order.within]
    if part.search.condition is not None:
        all_wanted.append(conditions.holds(part.search.condition))
    where = f"WHERE {' AND '.join(all_wanted)}" if all_wanted else ""
    return f"SELECT v.id{keys} FROM {tables} {where} ORDER BY {order.by} LIMIT {part.size}"


def _walk(part: Part, parameters: Parameters) -> str:
    """All that are in question, in the order of an index; those before the position are left out."""
    wanted = in_question(part.search, part.newest, parameters)
    if not part.section.keys:
        if part.after is not None:
            wanted.append(f"v.id < {parameters.add(part.after.id)}")
        return f"SELECT v.id FROM version v WHERE {' AND '.join(wanted)} ORDER BY v.id DESC"
    key = part.section.keys[0]
    found = column(key.expression)
    if found is None or not found.indexed or key.expression.kind is Kind.TRUTH:
        return ""
    sql = (found.start or found.sql).format(a="f")
    tables = "version v"
    if found.source is not None:
        tables = f"{found.source.table} f JOIN version v ON {found.source.link.format(a='f')}"
        wanted += found.source.own("f", parameters)
    wanted += _from(part, key, sql, parameters)
    direction = "DESC" if key.descending else "ASC"
    return f"SELECT v.id, {sql} AS k FROM {tables} WHERE {' AND '.join(wanted)} ORDER BY {sql} {direction}"


def _from(part: Part, key: SortKey, sql: str, parameters: Parameters) -> Iterator[str]:
    yield first_has(key, sql)
    if part.after is not None:
        yield f"{sql} {'<=' if key.descending else '>='} {parameters.add(part.after.keys[0])}"


def _sources(part: Part) -> Iterator[Source]:
    """The tables that condition and order ask, those of the condition first."""
    asked = [part.search.condition, *(key.expression for key in part.section.keys), part.section.lacking]
    for expression in asked:
        for node in inside(expression) if expression is not None else ():
            source = _source(node)
            if source is not None:
                yield source


def _source(node: Typed) -> Source | None:
    match node:
        case Present(_, path):
            return source_of(path)
        case As(_, kind, of):
            return column_of(of, kind).source
        case Field(_, kind, "", _):
            return column_of(node, Kind.TEXT if kind is Kind.VALUE else kind).source
    return None
