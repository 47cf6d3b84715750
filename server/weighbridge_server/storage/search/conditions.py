"""From a checked expression to SQL.

CEL's third outcome, neither true nor false, is what SQL's NULL is, but not quite: a tag of another kind is unequal, not
unknown, and NaN is less than nothing. So each condition has two texts, one that is true where it holds and one that is
true where it fails. Negations are worked down to the comparisons: what is left is plain enough for indexes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from weighbridge.core.errors import InvalidExpression, Violation
from weighbridge_server.domain.expressions.typed import (
    Arithmetic,
    As,
    Both,
    Choose,
    Compare,
    Constant,
    Count,
    Either,
    Every,
    Field,
    Length,
    Negative,
    Not,
    OneOf,
    Path,
    Present,
    Some,
    TextTest,
    Typed,
)
from weighbridge_server.domain.expressions.types import Kind
from weighbridge_server.storage.fact_rows import INDEXED_CHARS
from weighbridge_server.storage.search.arithmetic import arithmetic, numbers_compare, numbers_fail
from weighbridge_server.storage.search.sources import LISTS, ListTable, Parameters, Source, column_of, source_of

_MOST_PARTS = 4000
"""Of one statement: a choice makes its condition's texts twice, so that one within others would make millions."""

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_SQL = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_REF = re.compile(r"(.*):([1-9][0-9]{0,17})", re.DOTALL)
_TRUE, _FALSE = "TRUE", "FALSE"
_KINDS_OF_VALUES = (Kind.NUMBER, Kind.TEXT, Kind.TRUTH)


class Conditions:
    """SQL over ``v`` and the sources that are joined to it; what is not joined is asked for by a subquery."""

    def __init__(
        self, parameters: Parameters, joined: Mapping[Source, str] | None = None, *, guarded: bool = False
    ) -> None:
        """``joined``: the aliases of sources that are joined; ``guarded``: arithmetic never overflows."""
        self._parameters = parameters
        self._joined = joined or {}
        self._guarded = guarded
        self._rows: dict[str, tuple[ListTable, str]] = {}
        self._aliases = 0
        self._parts = 0
        self._holds: Mapping[type[Typed], Callable[..., str]] = {
            Constant: lambda node: _TRUE if node.value else _FALSE,
            Field: lambda node: self.value(node),
            As: lambda node: self.value(node),
            Present: partial(self._present, there=True),
            Not: lambda node: self.fails(node.operand),
            Both: partial(self._joined_by, of=self.holds, word="AND"),
            Either: partial(self._joined_by, of=self.holds, word="OR"),
            Compare: lambda node: self._compare(node, node.operator),
            OneOf: self._one_of,
            TextTest: partial(self._text_test, wanted=True),
            Choose: partial(self._chosen, of=self.holds),
            Some: lambda node: f"EXISTS ({self._items(node, self.holds)})",
            Every: lambda node: f"NOT EXISTS ({self._items(node, self._does_not_hold)})",
        }
        self._fails: Mapping[type[Typed], Callable[..., str]] = {
            Constant: lambda node: _FALSE if node.value else _TRUE,
            Field: lambda node: f"NOT {self.value(node)}",
            As: lambda node: f"NOT {self.value(node)}",
            Present: partial(self._present, there=False),
            Not: lambda node: self.holds(node.operand),
            Both: partial(self._joined_by, of=self.fails, word="OR"),
            Either: partial(self._joined_by, of=self.fails, word="AND"),
            Compare: self._compare_fails,
            OneOf: self._none_of,
            TextTest: partial(self._text_test, wanted=False),
            Choose: partial(self._chosen, of=self.fails),
            Some: lambda node: f"NOT EXISTS ({self._items(node, self._does_not_fail)})",
            Every: lambda node: f"EXISTS ({self._items(node, self.fails)})",
        }

    def holds(self, node: Typed) -> str:
        """True where the condition is true; else false or null."""
        self._count(node)
        return self._holds[type(node)](node)

    def fails(self, node: Typed) -> str:
        """True where the condition is false; else false or null."""
        self._count(node)
        return self._fails[type(node)](node)

    def value(self, node: Typed) -> str:
        """The value of a number, a text, a time, or of what is kept as a truth value; null where it is missing."""
        match node:
            case Constant(_, kind, value):
                return self._constant(kind, value)
            case Field(_, kind):
                return self._column(node, kind)
            case As(_, kind, of):
                return self._column(of, kind)
            case Negative(_, operand):
                return f"(- {self.value(operand)})"
            case Arithmetic(_, operator, left, right):
                self._count(node)
                return arithmetic(operator, self.value(left), self.value(right), guarded=self._guarded)
            case Length(_, text):
                return f"char_length({self.value(text)})::double precision"
            case Count(_, rows):
                return self._items_counted(rows)
            case Choose(_, condition, then, otherwise):
                holds, fails = self.holds(condition), self.fails(condition)
                return f"CASE WHEN {holds} THEN {self.value(then)} WHEN {fails} THEN {self.value(otherwise)} END"
        return f"CASE WHEN {self.holds(node)} THEN TRUE WHEN {self.fails(node)} THEN FALSE END"

    def start(self, node: Typed) -> str:
        """The first characters of a text, as many as stand in indexes."""
        if isinstance(node, Field | As):
            of = node.field if isinstance(node, As) else node
            column = column_of(of, Kind.TEXT)
            if column.start and column.source is not None:
                return self._of_source(column.source, column.start)
        return f"left({self.value(node)}, {INDEXED_CHARS})"

    def _count(self, node: Typed) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            what = f"filter and order have more than {_MOST_PARTS} parts together; write them shorter"
            raise InvalidExpression(what, violations=[Violation(str(node.place), "is one part too many")])

    def _constant(self, kind: Kind, value: object) -> str:
        placeholder = self._parameters.add(value)
        if kind is Kind.TEXT:
            return f'({placeholder}::text COLLATE "C")'
        return f"{placeholder}::{'double precision' if kind is Kind.NUMBER else 'timestamptz'}"

    # -- fields ------------------------------------------------------------------------------

    def _column(self, of: Field, kind: Kind) -> str:
        if of.row:
            table, alias = self._rows[of.row]
            return table.columns[of.path[0]].format(a=alias)
        column = column_of(of, kind)
        return column.sql if column.source is None else self._of_source(column.source, column.sql)

    def _of_source(self, source: Source, sql: str) -> str:
        alias = self._joined.get(source)
        if alias is not None:
            return sql.format(a=alias)
        alias = self._alias("s")
        return f"(SELECT {sql.format(a=alias)} FROM {source.table} {alias} WHERE {source.on(alias, self._parameters)})"

    def _present(self, node: Present, *, there: bool) -> str:
        source = source_of(node.path)
        if source is None:
            column = column_of(Field(node.place, Kind.NUMBER, "", node.path), Kind.NUMBER)
            return f"{column.sql} IS {'NOT ' if there else ''}NULL"
        return self._has_row(source) if there else f"NOT ({self._has_row(source)})"

    def _has_row(self, source: Source) -> str:
        alias = self._joined.get(source)
        if alias is not None:
            return f"{alias}.{source.key} IS NOT NULL"
        alias = self._alias("s")
        return f"EXISTS (SELECT FROM {source.table} {alias} WHERE {source.on(alias, self._parameters)})"

    def defined(self, node: Typed) -> str:
        """True where an operand is not missing."""
        if isinstance(node, Field) and node.kind is Kind.VALUE:
            source = source_of(node.path)
            assert source is not None, "tags and parameters are facts"
            return self._has_row(source)
        if node.kind is Kind.TRUTH:
            return f"({self.holds(node)} OR {self.fails(node)})"
        return f"{self.value(node)} IS NOT NULL"

    def _alias(self, prefix: str) -> str:
        self._aliases += 1
        return f"{prefix}{self._aliases}"

    # -- conditions --------------------------------------------------------------------------

    def _joined_by(self, node: Both | Either, *, of: Callable[[Typed], str], word: str) -> str:
        terms = []
        for term in node.terms:
            terms.append(of(term))
        return f"({f' {word} '.join(terms)})"

    def _chosen(self, node: Choose, *, of: Callable[[Typed], str]) -> str:
        first = f"{self.holds(node.condition)} AND {of(node.then)}"
        return f"({first} OR {self.fails(node.condition)} AND {of(node.otherwise)})"

    def _compare_fails(self, node: Compare) -> str:
        if node.operator in ("==", "!="):
            return self._compare(node, _OPPOSITE[node.operator])
        if node.left.kind is Kind.NUMBER or node.right.kind is Kind.NUMBER:
            left, right = _as(Kind.NUMBER, node.left), _as(Kind.NUMBER, node.right)
            return numbers_fail(node.operator, *self._numbers(left, right))
        # Of another kind than the other operand, or missing: then it neither holds nor fails.
        return self._compare(node, _OPPOSITE[node.operator])

    def _compare(self, node: Compare, operator: str) -> str:
        left, right = node.left, node.right
        if left.kind is Kind.VALUE and right.kind is Kind.VALUE:
            return self._values(left, operator, right)
        if right.kind is Kind.VALUE:
            left, right, operator = right, left, _MIRRORED[operator]
        if left.kind is Kind.VALUE and operator == "!=":
            return self._is_not(left, right)
        if left.kind is Kind.VALUE:
            left = _as(right.kind, left)
        return self._same_kind(left, operator, right)

    def _same_kind(self, left: Typed, operator: str, right: Typed) -> str:
        match right.kind:
            case Kind.NUMBER:
                return numbers_compare(operator, *self._numbers(left, right))
            case Kind.TRUTH:
                same = (self.holds, self.fails) if operator == "==" else (self.fails, self.holds)
                pairs = [
                    f"{of(left)} AND {also(right)}" for of, also in zip((self.holds, self.fails), same, strict=True)
                ]
                return f"({pairs[0]} OR {pairs[1]})"
            case Kind.TEXT:
                return self._texts(left, operator, right)
        return f"{self.value(left)} {_SQL[operator]} {self.value(right)}"

    def _numbers(self, left: Typed, right: Typed) -> tuple[str, str, bool, bool]:
        return self.value(left), self.value(right), may_be_nan(left), may_be_nan(right)

    def _texts(self, left: Typed, operator: str, right: Typed) -> str:
        if isinstance(left, Constant) and not isinstance(right, Constant):
            left, right, operator = right, left, _MIRRORED[operator]
        if isinstance(right, Constant) and isinstance(right.value, str):
            if operator in ("==", "!=") and isinstance(left, Field):
                special = self._digest(left, operator, right.value) or self._ref(left, operator, right.value)
                if special:
                    return special
            # A longer text begins with more characters than a short constant has: its start compares as it does.
            if len(right.value) < INDEXED_CHARS:
                return f"{self._start_or_value(left)} {_SQL[operator]} {self.value(right)}"
        return f"{self.value(left)} {_SQL[operator]} {self.value(right)}"

    def _start_or_value(self, node: Typed) -> str:
        if isinstance(node, As) or (isinstance(node, Field) and not node.row):
            of = node.field if isinstance(node, As) else node
            if column_of(of, Kind.TEXT).start:
                return self.start(node)
        return self.value(node)

    def _digest(self, field: Field, operator: str, text: str) -> str:
        if field.row or field.path != ("manifest_digest",) or not re.fullmatch("b3:[0-9a-f]{64}", text):
            return ""
        return f"v.manifest {_SQL[operator]} {self._parameters.add(bytes.fromhex(text[3:]))}"

    def _ref(self, field: Field, operator: str, text: str) -> str:
        match = _REF.fullmatch(text)
        if field.path != ("ref",) or match is None:
            return ""
        model = Field(field.place, Kind.TEXT, field.row, ("model",))
        version = Field(field.place, Kind.NUMBER, field.row, ("version",))
        name, number = self._parameters.add(match[1]), self._parameters.add(float(match[2]))
        word = "AND" if operator == "==" else "OR"
        sql = _SQL[operator]
        return f"({self.value(model)} {sql} {name} {word} {self.value(version)} {sql} {number})"

    def _is_not(self, value: Typed, other: Typed) -> str:
        """A VALUE is there and is not equal: it may be of another kind."""
        equal = self._same_kind(_as(other.kind, value), "==", other)
        defined = "" if isinstance(other, Constant) else f"{self.defined(other)} AND "
        return f"({self.defined(value)} AND {defined}({equal}) IS NOT TRUE)"

    def _values(self, left: Typed, operator: str, right: Typed) -> str:
        if operator == "!=":
            equal = self._values(left, "==", right)
            return f"({self.defined(left)} AND {self.defined(right)} AND {equal} IS NOT TRUE)"
        kinds = _KINDS_OF_VALUES if operator == "==" else (Kind.NUMBER, Kind.TEXT)
        sides = [(self.value(_as(kind, left)), self.value(_as(kind, right))) for kind in kinds]
        return f"({' OR '.join(f'{one} {_SQL[operator]} {other}' for one, other in sides)})"

    def _one_of(self, node: OneOf) -> str:
        by_kind = _by_kind(node.options)
        if node.operand.kind in (Kind.TRUTH, Kind.TIME):
            compared = [self._same_kind(node.operand, "==", option) for option in node.options]
            return f"({' OR '.join(compared)})" if compared else _FALSE
        operands = {kind: _as(kind, node.operand) for kind in by_kind}
        found = [f"{self._listed(operands[kind], options)}" for kind, options in by_kind.items()]
        return f"({' OR '.join(found)})" if found else _FALSE

    def _listed(self, operand: Typed, options: Sequence[Constant]) -> str:
        values = [option.value for option in options]
        placeholder = self._parameters.add(values)
        if operand.kind is Kind.NUMBER:
            return f"{self.value(operand)} = ANY({placeholder}::double precision[])"
        if operand.kind is Kind.TRUTH:
            return f"{self.value(operand)} = ANY({placeholder}::boolean[])"
        short = all(isinstance(value, str) and len(value) < INDEXED_CHARS for value in values)
        text = self._start_or_value(operand) if short else self.value(operand)
        return f"{text} = ANY({placeholder}::text[])"

    def _none_of(self, node: OneOf) -> str:
        return f"({self.defined(node.operand)} AND ({self._one_of(node)}) IS NOT TRUE)"

    def _text_test(self, node: TextTest, *, wanted: bool) -> str:
        argument = self.value(node.argument)
        short = isinstance(node.argument, Constant) and len(str(node.argument.value)) <= INDEXED_CHARS
        if node.test == "startsWith":
            test = f"{self._start_or_value(node.text) if short else self.value(node.text)} ^@ {argument}"
        elif node.test == "endsWith":
            text = self.value(node.text)
            test = f"right({text}, char_length({argument})) = {argument}"
        elif node.test == "contains":
            test = f"strpos({self.value(node.text)}, {argument}) > 0"
        else:
            test = f"{self.value(node.text)} ~ {argument}"
        return f"({test})" if wanted else f"(NOT {test})"

    # -- lists -------------------------------------------------------------------------------

    def _items(self, node: Some | Every, of: Callable[[Typed], str]) -> str:
        table, alias = LISTS[node.rows], self._alias("e")
        condition = self.of_item(node, alias, of)
        belongs = f"{table.version_id.format(a=alias)} = v.id"
        return f"SELECT FROM {table.tables.format(a=alias)} WHERE {belongs} AND {condition}"

    def of_item(self, node: Some | Every, alias: str, of: Callable[[Typed], str]) -> str:
        """The condition that is asked of the items of a list, which go by this alias."""
        hidden = self._rows.get(node.row)
        self._rows[node.row] = (LISTS[node.rows], alias)
        try:
            return of(node.condition)
        finally:
            if hidden is None:
                del self._rows[node.row]
            else:
                self._rows[node.row] = hidden

    def _does_not_hold(self, node: Typed) -> str:
        return f"({self.holds(node)}) IS NOT TRUE"

    def _does_not_fail(self, node: Typed) -> str:
        return f"({self.fails(node)}) IS NOT TRUE"

    def _items_counted(self, rows: Path) -> str:
        table, alias = LISTS[rows], self._alias("e")
        belongs = f"{table.version_id.format(a=alias)} = v.id"
        return f"(SELECT count(*) FROM {table.tables.format(a=alias)} WHERE {belongs})::double precision"


def may_be_nan(node: Typed) -> bool:
    """Whether a number may be NaN: only metrics are, and what is computed from them."""
    match node:
        case Field(_, _, row, _):
            return not row and column_of(node, Kind.NUMBER).nan
        case Arithmetic(_, _, left, right) | Choose(_, _, left, right):
            return may_be_nan(left) or may_be_nan(right)
        case Negative(_, operand):
            return may_be_nan(operand)
    return False


def _as(kind: Kind, node: Typed) -> Typed:
    return As(node.place, kind, node) if isinstance(node, Field) and node.kind is Kind.VALUE else node


def _by_kind(options: Sequence[Constant]) -> dict[Kind, list[Constant]]:
    kinds: dict[Kind, list[Constant]] = {}
    for option in options:
        kinds.setdefault(option.kind, []).append(option)
    return kinds
