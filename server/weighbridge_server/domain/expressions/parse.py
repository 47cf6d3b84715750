"""From text to a tree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from weighbridge_server.domain.expressions.mistakes import Mistake, Mistaken, Place
from weighbridge_server.domain.expressions.syntax import (
    Binary,
    Call,
    Choice,
    Index,
    Key,
    List,
    Literal,
    Logic,
    Member,
    Name,
    Node,
    Unary,
    branches,
)
from weighbridge_server.domain.expressions.texts import unquoted

MOST_BYTES = 16 * 1024
MOST_LEVELS = 250
"""How deep a tree may be: what follows its branches stays within Python's own limit of calls. Parentheses make no
level, and neither does each further term of ``&&`` or ``||``."""

_LARGEST_INT = 2**63 - 1
_MOST_SHOWN = 40
_MEANT = {
    **{"and": "&&", "or": "||", "not": "!", "=": "==", "&": "&&", "|": "||"},
    **{"ascending": "asc", "descending": "desc", "ASC": "asc", "DESC": "desc"},
}
"""What stands in other languages for an operator of this one."""


def parse_condition(text: str) -> Node:
    """The tree of an expression. Raises: Mistaken."""
    tree: Node = _parse(text, "condition")
    _check_levels([tree])
    return tree


def parse_order(text: str) -> Sequence[Key]:
    """The keys of an order: expressions with commas between, each with ``asc``, ``desc`` or neither behind it.

    Raises:
        Mistaken.
    """
    keys: list[Key] = _parse(text, "order")
    _check_levels([key.expression for key in keys])
    return keys


def _parse(text: str, start: str) -> Any:
    size_bytes = len(text.encode(errors="replace"))
    if size_bytes > MOST_BYTES:
        raise Mistaken(Mistake(Place(1, 1), f"it is {size_bytes} bytes long; at most {MOST_BYTES} are read"))
    try:
        return _parser().parse(text, start=start)
    except UnexpectedInput as fault:
        raise Mistaken(_what_is_wrong(fault, text)) from fault


@cache
def _parser() -> Lark:
    """Made at its first use: it takes a tenth of a second."""
    return Lark(
        (Path(__file__).parent / "cel.lark").read_text(),
        parser="lalr",
        start=["condition", "order"],
        transformer=_Builder(visit_tokens=False),
    )


class _Builder(Transformer[Token, Any]):
    """Makes the nodes while the parser reads, from the leaves up: without recursion, however deep they lie."""

    def order(self, keys: list[Key]) -> list[Key]:
        return keys

    def key(self, parts: list[Any]) -> Key:
        expression, direction = parts
        return Key(expression, direction == "desc")

    def choice(self, parts: list[Any]) -> Choice:
        condition, mark, then, otherwise = parts
        return Choice(_place(mark), condition, then, otherwise)

    def logic(self, parts: list[Any]) -> Logic:
        left, operator, right = parts
        if isinstance(left, Logic) and left.operator == operator:
            assert isinstance(left.terms, list), "made here, and not given out yet"
            left.terms.append(right)
            return left
        return Logic(_place(operator), str(operator), [left, right])

    def binary(self, parts: list[Any]) -> Binary:
        left, operator, right = parts
        return Binary(_place(operator), str(operator), left, right)

    def negation(self, parts: list[Any]) -> Unary:
        return Unary(_place(parts[0]), "!", parts[1])

    def negative(self, parts: list[Any]) -> Node:
        sign, operand = parts
        if isinstance(operand, Literal) and isinstance(operand.value, float):
            return Literal(_place(sign), -operand.value)
        return Unary(_place(sign), "-", operand)

    def member(self, parts: list[Any]) -> Member:
        return Member(_place(parts[1]), parts[0], str(parts[1]))

    def method(self, parts: list[Any]) -> Call:
        target, function, arguments = parts
        return Call(_place(function), str(function), target, arguments or [])

    def index(self, parts: list[Any]) -> Index:
        of, key = parts
        return Index(key.place, of, key)

    def name(self, parts: list[Any]) -> Name:
        return Name(_place(parts[0]), str(parts[0]))

    def call(self, parts: list[Any]) -> Call:
        function, arguments = parts
        return Call(_place(function), str(function), None, arguments or [])

    def items(self, parts: list[Any]) -> List:
        bracket, given = parts
        return List(_place(bracket), given or [])

    def arguments(self, given: list[Any]) -> list[Any]:
        return given

    def truth(self, parts: list[Any]) -> Literal:
        return Literal(_place(parts[0]), parts[0] == "true")

    def nothing(self, parts: list[Any]) -> Literal:
        return Literal(_place(parts[0]), None)

    def text(self, parts: list[Any]) -> Literal:
        place = _place(parts[0])
        return Literal(place, unquoted(parts[0], place))

    def whole(self, parts: list[Any]) -> Literal:
        digits = parts[0].rstrip("uU")
        value = int(digits, 16) if digits.startswith("0x") else int(digits)
        if value > _LARGEST_INT:
            raise Mistaken(Mistake(_place(parts[0]), "the number is beyond 64 bits; write it with a fraction, as 1e30"))
        return Literal(_place(parts[0]), float(value))

    def fraction(self, parts: list[Any]) -> Literal:
        value = float(parts[0])
        if math.isinf(value):
            raise Mistaken(Mistake(_place(parts[0]), "the number is beyond what a double holds"))
        return Literal(_place(parts[0]), value)


def _place(token: Token) -> Place:
    return Place(token.line or 1, token.column or 1)


def _check_levels(roots: Sequence[Node]) -> None:
    """Without recursion, which is what it guards."""
    waiting = [(root, 1) for root in roots]
    while waiting:
        node, level = waiting.pop()
        if level > MOST_LEVELS:
            raise Mistaken(Mistake(node.place, f"it is nested deeper than {MOST_LEVELS} levels; write it flatter"))
        waiting += [(branch, level + 1) for branch in branches(node)]


def _what_is_wrong(fault: UnexpectedInput, text: str) -> Mistake:
    place = Place(max(fault.line, 1), max(fault.column, 1))
    if isinstance(fault, UnexpectedToken) and fault.token.type != "$END":
        return Mistake(place, _unexpected(str(fault.token), fault.accepts))
    if isinstance(fault, UnexpectedCharacters):
        if fault.char in "\"'":
            return Mistake(place, "the text that begins here has no end: a quote is missing")
        return Mistake(place, _unexpected(fault.char, fault.allowed))
    lines = text.rstrip().split("\n")
    return Mistake(Place(len(lines), len(lines[-1]) + 1), _too_short(fault))


def _unexpected(said: str, instead: Any) -> str:
    if said in _MEANT:
        return f"{said!r} is no operator; write {_MEANT[said]}"
    shown = said if len(said) <= _MOST_SHOWN else said[:_MOST_SHOWN] + "…"
    return f"{shown!r} cannot stand here; {_wanted(instead)} can"


def _too_short(fault: UnexpectedInput) -> str:
    accepts = fault.accepts if isinstance(fault, UnexpectedToken) else set()
    closing = [sign for terminal, sign in (("RPAR", ")"), ("RSQB", "]"), ("COLON", ":")) if terminal in accepts]
    if closing and "INT" not in accepts:
        return f"it ends too early: {closing[0]!r} is missing"
    return f"it ends too early: {_wanted(accepts)} is missing"


def _wanted(terminals: Any) -> str:
    if "INT" in (terminals or ()):
        return "a value"
    return "a name" if "IDENT" in (terminals or ()) else "an operator"
