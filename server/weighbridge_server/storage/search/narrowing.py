"""The versions that a condition can hold for at all, where an index leads to them.

Each result is a statement for the ids of a superset: of ``a && b`` what either term can hold for, of ``a || b`` what
both can together. Whoever finds that one of them is small looks at these versions and at no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from weighbridge_server.domain.expressions.typed import (
    Arithmetic,
    As,
    Both,
    Choose,
    Compare,
    Constant,
    Either,
    Every,
    Field,
    Length,
    Negative,
    Not,
    OneOf,
    Present,
    Some,
    TextTest,
    Typed,
    inside,
)
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.storage.search.conditions import Conditions
from weighbridge_server.storage.search.sources import LISTS, MODEL, Column, Parameters, Source, column_of, source_of

_OF_ITEMS = (Constant, Field, Both, Either, Not, Compare, OneOf, TextTest, Arithmetic, Negative, Length, Choose)
"""What can be asked of the items of a list without a look at the version that has it."""

_MOST_TOGETHER = 64
"""Terms of ``||`` that are looked up one by one."""


def narrowed(node: Typed, most: int, parameters: Parameters, *, guarded: bool) -> list[str]:
    """Statements, each for the ids of all versions that the condition can hold for, and maybe others.

    They stop at ``most``, or somewhat later: what has more is not narrow.
    """
    return _Narrowing(most, parameters, guarded=guarded).where_it_holds(node)


def source_alone(node: Typed) -> Source | None:
    """The one table that a condition asks, if it asks one, and holds only of what has a row in it."""
    if isinstance(node, Present):
        return source_of(node.path)
    found = _asked(node.operand if isinstance(node, Not) else node)
    return found[0].source if found else None


class _Narrowing:
    def __init__(self, most: int, parameters: Parameters, *, guarded: bool) -> None:
        self._limit = f"LIMIT {most}"
        self._parameters = parameters
        self._guarded = guarded

    def where_it_holds(self, node: Typed) -> list[str]:
        match node:
            case Both(_, terms):
                return [found for term in terms for found in self.where_it_holds(term)]
            case Either(_, terms):
                return _together([self.where_it_holds(term) for term in terms])
            case Not(_, operand):
                return self.where_it_fails(operand)
            case Some():
                return self._by_items(node, Conditions.holds)
            case Present(_, path):
                source = source_of(path)
                return [self._ids(source, "TRUE", "")] if source is not None else []
            case Every():
                return []
        return self._by_source(node, holds=True)

    def where_it_fails(self, node: Typed) -> list[str]:
        match node:
            case Both(_, terms):
                return _together([self.where_it_fails(term) for term in terms])
            case Either(_, terms):
                return [found for term in terms for found in self.where_it_fails(term)]
            case Not(_, operand):
                return self.where_it_holds(operand)
            case Every():
                return self._by_items(node, Conditions.fails)
            case Some() | Present():
                return []
        return self._by_source(node, holds=False)

    def _by_source(self, node: Typed, *, holds: bool) -> list[str]:
        """By one table, where the condition asks no other."""
        found = _asked(node)
        if not found or not (all(map(_leads, found)) or _is_name(node)):
            return []
        source = found[0].source
        of = Conditions.holds if holds else Conditions.fails
        if source is None:
            by = "" if _is_name(node) else f"ORDER BY {found[0].sql}"
            return [f"(SELECT v.id FROM version v WHERE {of(self._conditions({}), node)} {by} {self._limit})"]
        condition = of(self._conditions({source: "f"}), node)
        return [self._ids(source, condition, _led_by(found) if _seeks(node, holds=holds) else "")]

    def _conditions(self, joined: Mapping[Source, str]) -> Conditions:
        return Conditions(self._parameters, joined, guarded=self._guarded)

    def _ids(self, source: Source, condition: str, by: str) -> str:
        """``by``: the column whose index leads there. Sorted by it, it is the one that the planner takes."""
        order, there = (f"ORDER BY {by}", [f"{by} IS NOT NULL"]) if by else ("", [])
        rows = f"{source.table} f WHERE {' AND '.join([*source.own('f', self._parameters), *there, condition])}"
        if source.version_id:
            return f"(SELECT f.{source.version_id} FROM {rows} {order} {self._limit})"
        link = source.link.format(a="f")
        if source is MODEL:
            return f"(SELECT v.id FROM {source.table} f JOIN version v ON {link} WHERE {condition} {self._limit})"
        few = f"(SELECT f.{source.key} FROM {rows} {order} {self._limit}) f"
        return f"(SELECT v.id FROM {few} JOIN version v ON {link} {self._limit})"

    def _by_items(self, node: Some | Every, of: Callable[[Conditions, Typed], str]) -> list[str]:
        if not all(isinstance(part, _OF_ITEMS) and _is_of_item(part) for part in inside(node.condition)):
            return []
        table = LISTS[node.rows]
        conditions = self._conditions({})
        condition = conditions.of_item(node, "i", lambda asked: of(conditions, asked))
        rows = f"{table.tables.format(a='i')} WHERE {condition}"
        return [f"(SELECT {table.version_id.format(a='i')} FROM {rows} {self._limit})"]


def _together(found: list[list[str]]) -> list[str]:
    if not all(found) or len(found) > _MOST_TOGETHER:
        return []
    return [f"({' UNION ALL '.join(statements[0] for statements in found)})"]


def _asked(node: Typed) -> list[Column]:
    """The columns that a comparison asks, if they are of one row; else none."""
    columns = list(_columns(node))
    found = [column for column in columns if column is not None]
    return found if len(found) == len(columns) and len({column.source for column in found}) == 1 else []


def _is_of_item(node: Typed) -> bool:
    return not isinstance(node, Field) or bool(node.row)


def _seeks(node: Typed, *, holds: bool) -> bool:
    """Whether a comparison looks for a number, a text or a time, or a range of them, and not for all but these."""
    match node:
        case Compare(_, operator, left, right):
            kinds = {left.kind, right.kind} - {Kind.VALUE}
            return operator != ("!=" if holds else "==") and len(kinds) == 1 and Kind.TRUTH not in kinds
        case OneOf(_, _, options):
            kinds = {option.kind for option in options}
            return holds and len(kinds) == 1 and Kind.TRUTH not in kinds
    return holds and isinstance(node, TextTest)


def _led_by(columns: Sequence[Column]) -> str:
    """The column of an index that has its values in their order; empty: the condition asks for several, or for none."""
    names = {column.start or column.sql for column in columns if column.indexed}
    return names.pop().format(a="f") if len(names) == 1 else ""


def _leads(column: Column) -> bool:
    """Whether an index leads to the versions: to a value, or to all that have a row in the table."""
    return column.indexed or column.source not in (None, MODEL)


def _is_name(node: Typed) -> bool:
    """``ref == "…"`` or ``manifest_digest == "…"``, which are looked up as what they stand for."""
    match node:
        case Compare(_, "==", Field(_, _, "", path), Constant()) | Compare(_, "==", Constant(), Field(_, _, "", path)):
            return path in (("ref",), ("manifest_digest",))
    return False


def _columns(node: Typed, kind: Kind = Kind.TEXT) -> Iterator[Column | None]:
    """What a comparison asks of a version; None: more than a row says, or what holds where something is missing.

    ``kind``: as what a VALUE is taken. Whichever it is, the row is the same.
    """
    match node:
        case Constant():
            return
        case Field(_, own, row, _):
            if not row:
                yield column_of(node, kind if own is Kind.VALUE else own)
        case As(_, own, field):
            yield column_of(field, own)
        case OneOf(_, operand, options):
            yield from _columns(operand, options[0].kind if options else Kind.TEXT)
        case Negative(_, operand) | Length(_, operand):
            yield from _columns(operand)
        case Compare(_, _, left, right):
            yield from _columns(left, right.kind if right.kind is not Kind.VALUE else Kind.TEXT)
            yield from _columns(right, left.kind if left.kind is not Kind.VALUE else Kind.TEXT)
        case Arithmetic(_, _, left, right) | TextTest(_, _, left, right):
            yield from _columns(left)
            yield from _columns(right)
        case _:
            yield None
