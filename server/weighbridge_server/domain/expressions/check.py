"""Checking: every name is looked up, every operand must be of the kind that its operator takes.

All mistakes are found, not the first: what cannot be typed is passed over by what is built on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from weighbridge_server.domain.expressions import syntax
from weighbridge_server.domain.expressions.lookup import Found, Lookup
from weighbridge_server.domain.expressions.mistakes import Mistake, Mistaken, Place
from weighbridge_server.domain.expressions.syntax import Node
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
    OrderKey,
    Present,
    Some,
    TextTest,
    Typed,
)
from weighbridge_server.domain.expressions.types import Kind, Message, Rows, Scalar

_TEXT_TESTS = ("startsWith", "endsWith", "contains", "matches")
_FUNCTIONS = ("has", "size", "timestamp", *_TEXT_TESTS, "exists", "all")
_EQUALITIES = ("==", "!=")
_ORDERINGS = ("<", "<=", ">", ">=")
_MOST_LISTS = 4
_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d))?")


def check_condition(node: Node, names: Message) -> Typed:
    """The typed tree of a condition.

    Raises:
        Mistaken: with everything that is wrong.
    """
    check = _Check(names)
    typed = check.truth(node, "what is asked for")
    if typed is None or check.mistakes:
        raise Mistaken(*check.mistakes)
    return typed


def check_order(keys: Sequence[syntax.Key], names: Message) -> Sequence[OrderKey]:
    """The typed keys of an order. Raises: Mistaken, with everything that is wrong."""
    check = _Check(names)
    typed = [(check.check(key.expression), key.descending) for key in keys]
    if check.mistakes:
        raise Mistaken(*check.mistakes)
    return [OrderKey(expression, descending) for expression, descending in typed if expression is not None]


class _Check:
    """One expression. Each method returns None where it found a mistake, or somebody below it did.

    They call each other three deep for each level of the tree, and no deeper: see ``parse.MOST_LEVELS``.
    """

    def __init__(self, names: Message) -> None:
        self.mistakes: list[Mistake] = []
        self._lookup = Lookup(names)
        self._lists = 0
        self._by_node: Mapping[type[Node], Callable[..., Typed | None]] = {
            syntax.Literal: self._literal,
            syntax.Name: self._named,
            syntax.Member: self._named,
            syntax.Index: self._named,
            syntax.Call: self._call,
            syntax.Unary: self._unary,
            syntax.Binary: self._binary,
            syntax.Logic: self._logic,
            syntax.Choice: self._choice,
            syntax.List: self._list,
        }

    def check(self, node: Node) -> Typed | None:
        return self._by_node[type(node)](node)

    def truth(self, node: Node, what: str) -> Typed | None:
        return self._of_kind(node, self.check(node), Kind.TRUTH, what)

    def _of_kind(self, node: Node, typed: Typed | None, kind: Kind, what: str) -> Typed | None:
        """The operand as one kind; ``what`` begins the message where it is of another."""
        if typed is None or typed.kind is kind:
            return typed
        if isinstance(typed, Field) and typed.kind is Kind.VALUE and kind is not Kind.TIME:
            return As(typed.place, kind, typed)
        wanted = "condition: compare it with something" if kind is Kind.TRUTH else f"{kind}"
        return self._mistake(syntax.start(node), f"this is a {typed.kind}; {what} is a {wanted}")

    def _mistake(self, place: Place, message: str) -> Typed | None:
        self.mistakes.append(Mistake(place, message))
        return None

    def _literal(self, node: syntax.Literal) -> Typed | None:
        match node.value:
            case bool():
                return Constant(node.place, Kind.TRUTH, node.value)
            case float():
                return Constant(node.place, Kind.NUMBER, node.value)
            case str():
                return Constant(node.place, Kind.TEXT, node.value)
        return self._mistake(node.place, "nothing is null; has(x) says whether there is an x")

    def _named(self, node: syntax.Name | syntax.Member | syntax.Index) -> Typed | None:
        found = self._find(node)
        if found is None:
            return None
        if isinstance(found.type, Message) and found.type.itself:
            found = found.part(found.type.itself)
        if isinstance(found.type, Scalar):
            return Field(node.place, found.type.kind, found.row, found.path, found.type.choices)
        return self._mistake(node.place, self._lookup.no_value(found))

    def _find(self, node: Node) -> Found | None:
        try:
            return self._lookup.find(node)
        except Mistaken as mistaken:
            self.mistakes += mistaken.mistakes
            return None

    def _unary(self, node: syntax.Unary) -> Typed | None:
        if node.operator == "!":
            operand = self.truth(node.operand, "what ! takes")
            return None if operand is None else Not(node.place, operand)
        operand = self._of_kind(node.operand, self.check(node.operand), Kind.NUMBER, "what - takes")
        return None if operand is None else Negative(node.place, operand)

    def _logic(self, node: syntax.Logic) -> Typed | None:
        terms = []
        for term in node.terms:
            terms.append(self.truth(term, f"what {node.operator} takes"))
        found = [term for term in terms if term is not None]
        if len(found) < len(terms):
            return None
        return Both(node.place, found) if node.operator == "&&" else Either(node.place, found)

    def _binary(self, node: syntax.Binary) -> Typed | None:
        if node.operator == "in":
            return self._in(node)
        if self._is_hyphen(node):
            return None
        left, right = self.check(node.left), self.check(node.right)
        if node.operator in _EQUALITIES or node.operator in _ORDERINGS:
            return self._compare(node, left, right)
        what = f"what {node.operator} takes"
        left = self._of_kind(node.left, left, Kind.NUMBER, what)
        right = self._of_kind(node.right, right, Kind.NUMBER, what)
        return None if left is None or right is None else Arithmetic(node.place, node.operator, left, right)

    def _is_hyphen(self, node: syntax.Binary) -> bool:
        """``tags.cost-center`` is a subtraction, and is never meant to be one."""
        left, right = node.left, node.right
        if node.operator != "-" or not isinstance(left, syntax.Member) or not isinstance(right, syntax.Name):
            return False
        if not isinstance(left.of, syntax.Name) or self._lookup.is_known(right.name):
            return False
        whole = f'{left.of.name}["{left.name}-{right.name}"]'
        self._mistake(node.place, f"there is no {right.name} to subtract; a name with a hyphen is written {whole}")
        return True

    def _compare(self, node: syntax.Binary, left: Typed | None, right: Typed | None) -> Typed | None:
        if left is None or right is None:
            return None
        kinds = {left.kind, right.kind}
        if len(kinds) == 2 and (Kind.VALUE not in kinds or Kind.TIME in kinds):
            hint = '; a time is written timestamp("2026-10-01T00:00:00Z")' if Kind.TIME in kinds else ""
            return self._mistake(node.place, f"a {left.kind} and a {right.kind} cannot be compared{hint}")
        if Kind.TRUTH in kinds and node.operator in _ORDERINGS:
            return self._mistake(node.place, f"truth values have no order: {node.operator} does not take them")
        for field, constant in ((left, right), (right, left)):
            if not self._is_choice(field, constant):
                return None
        return Compare(node.place, node.operator, left, right)

    def _is_choice(self, field: Typed, constant: Typed) -> bool:
        if not (isinstance(field, Field) and isinstance(constant, Constant) and field.choices):
            return True
        if constant.value not in field.choices:
            self._mistake(constant.place, f"{constant.value!r} is none of {', '.join(field.choices)}")
        return constant.value in field.choices

    def _in(self, node: syntax.Binary) -> Typed | None:
        if isinstance(node.right, syntax.List):
            return self._one_of(node, node.right)
        found = self._find(node.right)
        if found is None:
            return None
        if not found.has_names():
            return self._mistake(node.place, "in looks into a list in brackets, or into tags, params, metrics and such")
        if not (isinstance(node.left, syntax.Literal) and isinstance(node.left.value, str)):
            return self._mistake(syntax.start(node.left), "what in looks for here is a name, in quotes")
        return Present(node.place, (*found.path, node.left.value))

    def _one_of(self, node: syntax.Binary, options: syntax.List) -> Typed | None:
        operand = self.check(node.left)
        constants = []
        for item in options.items:
            typed = self.check(item)
            if typed is not None and not isinstance(typed, Constant):
                self._mistake(syntax.start(item), "a list holds numbers and texts as they are, and no names")
            elif typed is not None and operand is not None:
                constants.append(typed)
                self._compare(syntax.Binary(item.place, "==", node.left, item), operand, typed)
        return None if operand is None else OneOf(node.place, operand, constants)

    def _choice(self, node: syntax.Choice) -> Typed | None:
        condition = self.truth(node.condition, "what ? takes")
        then, otherwise = self.check(node.then), self.check(node.otherwise)
        if condition is None or then is None or otherwise is None:
            return None
        if then.kind is Kind.VALUE and otherwise.kind is Kind.VALUE:
            return self._mistake(node.place, "either side may be of any kind; compare each with something")
        kind = otherwise.kind if then.kind is Kind.VALUE else then.kind
        then = self._of_kind(node.then, then, kind, "the other side")
        otherwise = self._of_kind(node.otherwise, otherwise, kind, "the other side")
        if then is None or otherwise is None:
            return None
        return Choose(node.place, condition, then, otherwise, kind)

    def _list(self, node: syntax.List) -> Typed | None:
        return self._mistake(node.place, 'a list stands behind in, as in stage in ["staging", "production"]')

    def _call(self, node: syntax.Call) -> Typed | None:
        if node.function in _TEXT_TESTS:
            return self._text_test(node)
        if node.function in ("exists", "all"):
            return self._rows(node)
        if node.function not in _FUNCTIONS:
            return self._mistake(node.place, f"there is no function {node.function}; there are {', '.join(_FUNCTIONS)}")
        arguments = list(node.arguments) if node.target is None else [node.target, *node.arguments]
        if len(arguments) != 1:
            return self._mistake(node.place, f"{node.function} takes one argument, not {len(arguments)}")
        if node.function == "has":
            return self._has(node, arguments[0])
        if node.function == "timestamp":
            return self._timestamp(node, arguments[0])
        return self._size(node, arguments[0])

    def _has(self, node: syntax.Call, argument: Node) -> Typed | None:
        if not isinstance(argument, syntax.Name | syntax.Member | syntax.Index):
            return self._mistake(syntax.start(argument), "has takes a name, as in has(tags.owner)")
        found = self._find(argument)
        if found is None:
            return None
        if isinstance(found.type, Scalar) and found.type.always and not found.within:
            return Constant(node.place, Kind.TRUTH, True)
        path = self._lookup.present(found)
        if path is None:
            return self._mistake(argument.place, self._lookup.no_value(found))
        return Present(node.place, path)

    def _timestamp(self, node: syntax.Call, argument: Node) -> Typed | None:
        if not (isinstance(argument, syntax.Literal) and isinstance(argument.value, str)):
            return self._mistake(syntax.start(argument), "timestamp takes a text in quotes")
        try:
            time = datetime.fromisoformat(argument.value) if _TIME.fullmatch(argument.value) else None
            if time is not None:
                time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            time = None
        if time is None:
            said = (
                f"{argument.value!r} is no time; it is written 2026-10-01T08:30:00Z, or 2026-10-01 for its first moment"
            )
            return self._mistake(argument.place, f"{said} in UTC")
        return Constant(node.place, Kind.TIME, time)

    def _size(self, node: syntax.Call, argument: Node) -> Typed | None:
        if isinstance(argument, syntax.Name | syntax.Member | syntax.Index):
            found = self._find(argument)
            if found is None:
                return None
            if isinstance(found.type, Rows):
                return Count(node.place, found.path)
        text = self._of_kind(argument, self.check(argument), Kind.TEXT, "what size takes, beside a list,")
        return None if text is None else Length(node.place, text)

    def _text_test(self, node: syntax.Call) -> Typed | None:
        if node.target is None or len(node.arguments) != 1:
            return self._mistake(node.place, f'it is written text.{node.function}("…")')
        (argument,) = node.arguments
        what = f"what {node.function} takes"
        text = self._of_kind(node.target, self.check(node.target), Kind.TEXT, what)
        tested = self._of_kind(argument, self.check(argument), Kind.TEXT, what)
        if text is None or tested is None:
            return None
        if node.function == "matches" and not isinstance(tested, Constant):
            return self._mistake(syntax.start(argument), "the pattern of matches is a text in quotes")
        return TextTest(node.place, node.function, text, tested)

    def _rows(self, node: syntax.Call) -> Typed | None:
        form = f'it is written datasets.{node.function}(d, d.name == "…")'
        if node.target is None or len(node.arguments) != 2 or not isinstance(node.arguments[0], syntax.Name):
            return self._mistake(node.place, form)
        found = self._find(node.target)
        if found is None:
            return None
        if not isinstance(found.type, Rows):
            return self._mistake(node.place, f"{'.'.join(found.path)} is no list; {form}")
        if self._lists == _MOST_LISTS:
            return self._mistake(node.place, f"lists are asked within lists {_MOST_LISTS} deep; more is too much")
        row = node.arguments[0].name
        self._lists += 1
        with self._lookup.row(row, found.type.of):
            condition = self.truth(node.arguments[1], f"what {node.function} takes")
        self._lists -= 1
        if condition is None:
            return None
        return (Some if node.function == "exists" else Every)(node.place, found.path, row, condition)
