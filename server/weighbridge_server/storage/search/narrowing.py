"""The versions that a condition can hold for at all, where an index leads to them.

Each result is a statement for the ids of a superset: of ``a && b`` what either term can hold for, of ``a || b`` what
both can together. Whoever finds that one of them is small looks at these versions and at no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from weighbridge_server.domain.expressions.typed import (
    Arithmetic,
    As,
    Both,
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
)
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.storage.search.conditions import Conditions
from weighbridge_server.storage.search.sources import LISTS, MODEL, Column, Parameters, Source, column_of, source_of

_MOST_TOGETHER = 64
"""Terms of ``||`` that are looked up one by one."""


def narrowed(node: Typed, parameters: Parameters, *, guarded: bool) -> list[str]:
    """Statements, each for the ids of all versions that the condition can hold for, and maybe others."""
    return _Narrowing(parameters, guarded=guarded).where_it_holds(node)


class _Narrowing:
    def __init__(self, parameters: Parameters, *, guarded: bool) -> None:
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
                return [self._ids(source, "TRUE")] if source is not None else []
            case Every():
                return []
        return self._by_source(node, Conditions.holds)

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
        return self._by_source(node, Conditions.fails)

    def _by_source(self, node: Typed, of: Callable[[Conditions, Typed], str]) -> list[str]:
        """By one table, where the condition asks no other."""
        columns = list(_columns(node))
        found = [column for column in columns if column is not None]
        sources = {column.source for column in found}
        if len(found) < len(columns) or len(sources) != 1 or not (all(map(_leads, found)) or _is_name(node)):
            return []
        (source,) = sources
        if source is None:
            return [f"SELECT v.id FROM version v WHERE {of(self._conditions({}), node)}"]
        return [self._ids(source, of(self._conditions({source: "f"}), node))]

    def _conditions(self, joined: Mapping[Source, str]) -> Conditions:
        return Conditions(self._parameters, joined, guarded=self._guarded)

    def _ids(self, source: Source, condition: str) -> str:
        wanted = " AND ".join([*source.own("f", self._parameters), condition])
        if source.version_id:
            return f"SELECT f.{source.version_id} FROM {source.table} f WHERE {wanted}"
        link = source.link.format(a="f")
        return f"SELECT v.id FROM {source.table} f JOIN version v ON {link} WHERE {wanted}"

    def _by_items(self, node: Some | Every, of: Callable[[Conditions, Typed], str]) -> list[str]:
        if any(True for _ in _columns(node.condition)):
            return []
        table = LISTS[node.rows]
        conditions = self._conditions({})
        condition = conditions.of_item(node, "i", lambda asked: of(conditions, asked))
        return [f"SELECT {table.version_id.format(a='i')} FROM {table.tables.format(a='i')} WHERE {condition}"]


def _together(found: list[list[str]]) -> list[str]:
    if not all(found) or len(found) > _MOST_TOGETHER:
        return []
    return [" UNION ALL ".join(statements[0] for statements in found)]


def _leads(column: Column) -> bool:
    """Whether an index leads to the versions: to a value, or to all that have a row in the table."""
    return column.indexed or column.source not in (None, MODEL)


def _is_name(node: Typed) -> bool:
    """``ref == "…"`` or ``manifest_digest == "…"``, which are looked up as what they stand for."""
    match node:
        case Compare(_, "==", Field(_, _, "", path), Constant()) | Compare(_, "==", Constant(), Field(_, _, "", path)):
            return path in (("ref",), ("manifest_digest",))
    return False


def _columns(node: Typed) -> Iterator[Column | None]:
    """What a comparison asks of a version; None: more than a row says, or what holds where something is missing."""
    match node:
        case Constant():
            return
        case Field(_, kind, row, _):
            if not row:
                # Of a VALUE whichever column it is kept in: the row counts.
                yield column_of(node, Kind.TEXT if kind is Kind.VALUE else kind)
        case As(_, kind, field):
            yield column_of(field, kind)
        case Negative(_, operand) | OneOf(_, operand) | Length(_, operand):
            yield from _columns(operand)
        case Compare(_, _, left, right) | Arithmetic(_, _, left, right) | TextTest(_, _, left, right):
            yield from _columns(left)
            yield from _columns(right)
        case _:
            yield None
