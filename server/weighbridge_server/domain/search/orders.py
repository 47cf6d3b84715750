"""An order as sections, each of which has values of one kind in its first key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from weighbridge_server.domain.expressions.typed import As, Field, OrderKey
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.domain.search.ports import KeyValue, Position, Section, SortKey

_KINDS = (Kind.NUMBER, Kind.TEXT, Kind.TRUTH)
"""Of values that may be of any kind, in the order in which they come."""

_HELD_AS: dict[Kind, type] = {Kind.NUMBER: float, Kind.TEXT: str, Kind.TRUTH: bool, Kind.TIME: datetime}


def sections_of(keys: Sequence[OrderKey]) -> list[Section]:
    """The sections of an order; of no keys, one: the newest first."""
    if not keys:
        return [Section(())]
    first, *others = keys
    rest = [part for key in others for part in _parts(key)]
    present = [Section((part, *rest)) for part in _parts(first)]
    return [*present, Section(rest, lacking=first.expression)]


def fits(position: Position, sections: Sequence[Section]) -> bool:
    """Whether a position is one of this order."""
    if not 0 <= position.section < len(sections):
        return False
    section = sections[position.section]
    if len(position.keys) != len(section.keys) or (
        section.lacking is None and section.keys and position.keys[0] is None
    ):
        return False
    return all(_is_of(value, key) for value, key in zip(position.keys, section.keys, strict=True))


def _parts(key: OrderKey) -> list[SortKey]:
    """A key of one kind; of values, one for each: a version has one of them, and lacks the others."""
    expression = key.expression
    if isinstance(expression, Field) and expression.kind is Kind.VALUE:
        return [SortKey(As(expression.place, kind, expression), key.descending) for kind in _KINDS]
    return [SortKey(expression, key.descending)]


def _is_of(value: KeyValue, key: SortKey) -> bool:
    return value is None or type(value) is _HELD_AS[key.expression.kind]
