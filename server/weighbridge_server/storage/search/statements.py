"""The statements of a page: each finds the first versions of a section, behind a position, in a way of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from weighbridge_server.domain.expressions.typed import (
    Arithmetic,
    As,
    Both,
    Constant,
    Field,
    Length,
    Negative,
    Present,
    Typed,
    inside,
)
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.domain.search.ports import Position, Search, Section, SortKey
from weighbridge_server.storage.search.conditions import Conditions
from weighbridge_server.storage.search.narrowing import source_alone
from weighbridge_server.storage.search.ordering import column, first_has, ordering
from weighbridge_server.storage.search.sources import Parameters, Source, column_of, source_of

_MOST_JOINED = 6
"""Sources that are joined; the planner's time grows with each, so the others are asked for by subqueries."""

_FROM_ALL_PARTS = (Constant, Field, As, Arithmetic, Negative, Length)
"""What has no value where a part of it has none."""


@dataclass(frozen=True)
class Part:
    """What is wanted of one section."""

    search: Search
    section: Section
    newest: int
    after: Position | None
    size: int
    hidden: Sequence[int]
    """The ids of deleted models, whose versions are in no list of all models."""
    guarded: bool
    """Arithmetic looks before it may overflow."""
    shown: Sequence[int] | None = None
    """The ids of the models whose versions alone are in a list of all models; None: of all."""


def among(part: Part, ids: Sequence[int], parameters: Parameters) -> str:
    """The first of these versions."""
    few = f"v.id = ANY({parameters.add(list(ids))}::bigint[])"
    return _statement(part, "version v", {}, [few, *in_question(part, parameters)], parameters)


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
    first = "w.k" if part.section.keys else ""
    statement = _statement(part, "walked w JOIN version v ON v.id = w.id", {}, wanted, parameters, first=first)
    return f"WITH walked AS MATERIALIZED ({walk} LIMIT {most}) {statement}"


def listed(part: Part, parameters: Parameters) -> str:
    """The first of all, whatever it takes; those without a value of a first key that is computed come last."""
    streamed, others = apart(part.search.condition)
    if len(streamed) == 1 and part.section.keys:
        streamed, others = [], part.search.condition  # joined as the keys are
    part = replace(part, search=replace(part.search, condition=others))
    joined = {source: f"j{place}" for place, source in enumerate(islice(dict.fromkeys(_sources(part)), _MOST_JOINED))}
    needed = _needed(part.section)
    tables = [
        f"{'' if source in needed else 'LEFT '}JOIN {source.table} {alias} ON {source.on(alias, parameters)}"
        for source, alias in joined.items()
    ]
    first = f"{_stream(streamed, part, parameters)} AS a JOIN version v ON v.id = a.version_id"
    tables.insert(0, first if streamed else "version v")
    return _statement(part, " ".join(tables), joined, in_question(part, parameters), parameters, all_keys=False)


def _needed(section: Section) -> set[Source]:
    """The tables without a row in which the section's first key, which it has, would have no value."""
    if section.lacking is not None or not section.keys:
        return set()
    nodes = list(inside(section.keys[0].expression))
    if not all(isinstance(node, _FROM_ALL_PARTS) for node in nodes):
        return set()
    return {source for node in nodes if (source := _source(node)) is not None}


def apart(condition: Typed | None) -> tuple[list[tuple[Source, Typed]], Typed | None]:
    """The terms of a condition that ask one table each, in the order of the versions, and what is left of it."""
    terms = condition.terms if isinstance(condition, Both) else [] if condition is None else [condition]
    streamed: list[tuple[Source, Typed]] = []
    others: list[Typed] = []
    for term in terms:
        source = source_alone(term)
        if source is not None and source.streams and len(streamed) < _MOST_JOINED:
            streamed.append((source, term))
        else:
            others.append(term)
    return streamed, Both(others[0].place, others) if others else None


def _stream(terms: Sequence[tuple[Source, Typed]], part: Part, parameters: Parameters) -> str:
    """The ids of the versions that these terms hold for, the newest first.

    They come before all else, whatever the planner thinks (OFFSET), side by side from indexes that have them in this
    order: where a page is full, or one of them ends, nothing more is read.
    """
    tables, wanted = [], []
    for place, (source, term) in enumerate(terms):
        alias = f"f{place}"
        link = f"JOIN {source.table} {alias} ON {alias}.version_id = f0.version_id"
        tables.append(link if place else f"{source.table} {alias}")
        wanted += source.own(alias, parameters)
        wanted.append(Conditions(parameters, {source: alias}, guarded=part.guarded).holds(term))
    if part.after is not None and not part.section.keys:
        wanted.append(f"f0.version_id < {parameters.add(part.after.id)}")
    where = " AND ".join(wanted)
    return f"(SELECT f0.version_id FROM {' '.join(tables)} WHERE {where} ORDER BY f0.version_id DESC OFFSET 0)"


def in_question(part: Part, parameters: Parameters) -> list[str]:
    """What holds of all versions that the list may have, whatever its condition is."""
    search = part.search
    wanted = [f"v.id <= {parameters.add(part.newest)}"]
    if not search.deleted:
        wanted.append("v.deleted_time IS NULL")
    if search.model:
        wanted.append(of_model(search.model, parameters))
    else:
        if part.hidden:
            wanted.append(f"v.model_id <> ALL({parameters.add(list(part.hidden))}::bigint[])")
        if part.shown is not None:
            wanted.append(f"v.model_id = ANY({parameters.add(list(part.shown))}::bigint[])")
    if search.manifest is not None:
        wanted.append(f"v.manifest = {parameters.add(search.manifest)}")
    return wanted


def of_model(name: str, parameters: Parameters) -> str:
    """True of the versions of a model."""
    return f"v.model_id = (SELECT id FROM model WHERE name = {parameters.add(name)})"


def _statement(
    part: Part,
    tables: str,
    joined: Mapping[Source, str],
    wanted: Sequence[str],
    parameters: Parameters,
    *,
    first: str = "",
    all_keys: bool = True,
) -> str:
    conditions = Conditions(parameters, joined, guarded=part.guarded)
    order = ordering(part.section, part.after, conditions, parameters, first=first, all_keys=all_keys)
    keys = "".join(f", {sql} AS k{place}" for place, sql in enumerate(order.keys))
    all_wanted = [*wanted, *order.within]
    if part.search.condition is not None:
        all_wanted.append(conditions.holds(part.search.condition))
    where = f"WHERE {' AND '.join(all_wanted)}" if all_wanted else ""
    return f"SELECT v.id{keys} FROM {tables} {where} ORDER BY {order.by} LIMIT {part.size}"


def _walk(part: Part, parameters: Parameters) -> str:
    """All that are in question, in the order of an index; those before the position are left out."""
    wanted = in_question(part, parameters)
    if not part.section.keys:
        if part.after is not None:
            wanted.append(f"v.id < {parameters.add(part.after.id)}")
        return f"SELECT v.id FROM version v WHERE {' AND '.join(wanted)} ORDER BY v.id DESC"
    key = part.section.keys[0]
    found = column(key.expression)
    if found is None or not found.indexed or key.expression.kind is Kind.TRUTH:
        return ""
    direction = "DESC" if key.descending else "ASC"
    if found.source is None:
        wanted += _from(part, key, found.sql, parameters)
        where = " AND ".join(wanted)
        return f"SELECT v.id, {found.sql} AS k FROM version v WHERE {where} ORDER BY {found.sql} {direction}"
    sql = (found.start or found.sql).format(a="f")
    where = " AND ".join([*found.source.own("f", parameters), *_from(part, key, sql, parameters)])
    source = f"SELECT *, {sql} AS k FROM {found.source.table} f WHERE {where} ORDER BY {sql} {direction} OFFSET 0"
    # LATERAL and OFFSET: one row after the other, as the index has them, until there are enough.
    version = f"SELECT v.id FROM version v WHERE {' AND '.join([found.source.link.format(a='f'), *wanted])} OFFSET 0"
    return f"SELECT v.id, f.k FROM ({source}) AS f CROSS JOIN LATERAL ({version}) AS v ORDER BY f.k {direction}"


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
