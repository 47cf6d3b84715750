"""Keys of an order as SQL: sorted by, and compared with where the page before ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weighbridge_server.domain.expressions.typed import As, Field, Typed
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.domain.search.ports import KeyValue, Position, Section, SortKey
from weighbridge_server.storage.search.conditions import Conditions, may_be_nan
from weighbridge_server.storage.search.sources import Column, Parameters, column_of

_TYPES = {Kind.NUMBER: "double precision", Kind.TEXT: "text", Kind.TRUTH: "boolean", Kind.TIME: "timestamptz"}


@dataclass(frozen=True)
class Ordering:
    """The keys of a section in one statement, and what belongs to it."""

    keys: Sequence[str]
    """What they are sorted by; in the statement they go by the names ``k0``, ``k1`` …"""
    by: str
    """``ORDER BY``, without these words; the newest first where all keys are equal."""
    within: Sequence[str]
    """What versions of this section fulfil, and stand behind the position that was asked for."""


def ordering(
    section: Section,
    after: Position | None,
    conditions: Conditions,
    parameters: Parameters,
    *,
    first: str = "",
    all_keys: bool = True,
) -> Ordering:
    """The SQL of a section, from a position of it on.

    ``first``: what the first key is called, where it is known. Without ``all_keys``, what has no value of a first key
    that is computed comes last, in place of being left out: it is computed once.
    """
    # The first key has a value, if the section is not one that lacks it.
    leading = [place == 0 and section.lacking is None for place in range(len(section.keys))]
    keys = [_key(key, conditions, first=leads) for key, leads in zip(section.keys, leading, strict=True)]
    if first:
        keys[0] = first
    by = [f"k{place}{' DESC' if key.descending else ''} NULLS LAST" for place, key in enumerate(section.keys)]
    within = []
    if section.lacking is not None:
        within.append(_lacks(section.lacking, conditions))
    elif section.keys and not first and _asks(section.keys[0], all_keys=all_keys):
        within.append(first_has(section.keys[0], keys[0]))
    if after is not None:
        within.append(_behind(section.keys, keys, after.keys, parameters.add(after.id), parameters))
    return Ordering(keys, ", ".join([*by, "v.id DESC"]), within)


def first_has(key: SortKey, sql: str) -> str:
    """True where there is a value, and not NaN, of a key that is this."""
    if may_be_nan(key.expression) and _is_column(key.expression):
        return f"{sql} < 'NaN'"
    return f"{sql} IS NOT NULL"


def _key(key: SortKey, conditions: Conditions, *, first: bool) -> str:
    expression = key.expression
    if expression.kind is Kind.TEXT:
        return conditions.start(expression)
    value = conditions.value(expression)
    if not may_be_nan(expression) or (first and _is_column(expression)):
        return value
    return f"NULLIF({value}, 'NaN')"


def _asks(key: SortKey, *, all_keys: bool) -> bool:
    return may_lack(key.expression) and (all_keys or _is_column(key.expression) or key.expression.kind is Kind.TEXT)


def _is_column(expression: Typed) -> bool:
    """NaN is kept out of a first key by a condition, and not by the expression, which an index has as it is."""
    return isinstance(expression, Field | As)


def column(expression: Typed) -> Column | None:
    """The column that a key is, if it is one."""
    if isinstance(expression, As):
        return column_of(expression.field, expression.kind)
    return column_of(expression, expression.kind) if isinstance(expression, Field) else None


def may_lack(expression: Typed) -> bool:
    """Whether a version may lack a value of it."""
    found = column(expression)
    return found is None or found.missing


def _lacks(expression: Typed, conditions: Conditions) -> str:
    if expression.kind is Kind.VALUE:
        return f"NOT ({conditions.defined(expression)})"
    value = conditions.value(expression)
    return f"({value} IS NULL OR {value} = 'NaN')" if may_be_nan(expression) else f"{value} IS NULL"


def _behind(
    keys: Sequence[SortKey], sql: Sequence[str], values: Sequence[KeyValue], version_id: str, parameters: Parameters
) -> str:
    """True of what comes after a version with these values; of equal keys the older ones do."""
    condition = f"v.id < {version_id}"
    for key, this, value in reversed(list(zip(keys, sql, values, strict=True))):
        if value is None:
            condition = f"({this} IS NULL AND {condition})"
            continue
        last = f"{parameters.add(value)}::{_TYPES[key.expression.kind]}"
        later = f"{this} {'<' if key.descending else '>'} {last}"
        condition = f"({later} OR {this} IS NULL OR ({this} = {last} AND {condition}))"
    return condition
