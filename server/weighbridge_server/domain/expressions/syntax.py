"""Expressions as they are written: a tree whose nodes know their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weighbridge_server.domain.expressions.mistakes import Place


@dataclass(frozen=True)
class Literal:
    """A number, a text, true, false or null as it stands."""

    place: Place
    value: float | str | bool | None


@dataclass(frozen=True)
class Name:
    """What stands alone: ``metrics``."""

    place: Place
    name: str


@dataclass(frozen=True)
class Member:
    """``of.name``; its place is that of the name."""

    place: Place
    of: Node
    name: str


@dataclass(frozen=True)
class Index:
    """``of[key]``; its place is that of the key."""

    place: Place
    of: Node
    key: Node


@dataclass(frozen=True)
class Call:
    """``function(arguments)``, or ``target.function(arguments)``; its place is that of the function."""

    place: Place
    function: str
    target: Node | None
    arguments: Sequence[Node]


@dataclass(frozen=True)
class Unary:
    """``!operand`` or ``-operand``."""

    place: Place
    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary:
    """Two operands; its place is that of the operator."""

    place: Place
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Logic:
    """``a && b && c`` or ``a || b || c``: as many as there are, side by side."""

    place: Place
    operator: str
    terms: Sequence[Node]


@dataclass(frozen=True)
class Choice:
    """``condition ? then : otherwise``."""

    place: Place
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True)
class List:
    """``[a, b]``."""

    place: Place
    items: Sequence[Node]


Node = Literal | Name | Member | Index | Call | Unary | Binary | Logic | Choice | List


@dataclass(frozen=True)
class Key:
    """One key of an order."""

    expression: Node
    descending: bool


def branches(node: Node) -> Sequence[Node]:
    """The nodes right below one."""
    match node:
        case Member(_, of, _):
            return (of,)
        case Index(_, of, key):
            return (of, key)
        case Call(_, _, target, arguments):
            return arguments if target is None else (target, *arguments)
        case Unary(_, _, operand):
            return (operand,)
        case Binary(_, _, left, right):
            return (left, right)
        case Logic(_, _, terms):
            return terms
        case Choice(_, condition, then, otherwise):
            return (condition, then, otherwise)
        case List(_, items):
            return items
        case _:
            return ()


def start(node: Node) -> Place:
    """Where a node's text begins, but for parentheses."""
    while True:
        match node:
            case Member(_, of, _) | Index(_, of, _):
                node = of
            case Call(_, _, target, _) if target is not None:
                node = target
            case Binary(_, _, left, _):
                node = left
            case Logic(_, _, terms):
                node = terms[0]
            case Choice(_, condition, _, _):
                node = condition
            case _:
                return node.place
