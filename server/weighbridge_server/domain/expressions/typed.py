"""Expressions that were checked: every name is there, and every operand of the kind that its operator takes.

A condition is true, false, or neither: where something that it names is missing, or is not of the kind that it is used
as. ``!`` leaves neither as it is; ``&&`` is false where one term is, whatever the others are, and ``||`` true where one
is. A filter takes what its condition is true of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from weighbridge_server.domain.expressions.mistakes import Place
from weighbridge_server.domain.expressions.types import Kind

Path = tuple[str, ...]
"""The names that lead to a value: ``("metrics", "accuracy", "latest")``."""


@dataclass(frozen=True)
class Constant:
    """A value that stands in the expression."""

    place: Place
    kind: Kind
    value: float | str | bool | datetime


@dataclass(frozen=True)
class Field:
    """A value of what is looked at; ``row`` is the name under which a list's item goes, or empty."""

    place: Place
    kind: Kind
    row: str
    path: Path
    choices: Sequence[str] = ()
    """Of a text: the only ones that there are; none: any."""


@dataclass(frozen=True)
class As:
    """A VALUE taken as one kind: missing where it is of another."""

    place: Place
    kind: Kind
    field: Field


@dataclass(frozen=True)
class Present:
    """Whether there is something: ``has(tags.x)``, ``"x" in tags``."""

    place: Place
    path: Path
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class Not:
    """``!``."""

    place: Place
    operand: Typed
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class Both:
    """``&&``: all terms."""

    place: Place
    terms: Sequence[Typed]
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class Either:
    """``||``: one term at least."""

    place: Place
    terms: Sequence[Typed]
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class Compare:
    """``==``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``, of one kind, or of VALUEs.

    What is of another kind is not equal, and neither less nor more. NaN compares as IEEE 754 says.
    """

    place: Place
    operator: str
    left: Typed
    right: Typed
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class OneOf:
    """``operand in [...]``, of constants."""

    place: Place
    operand: Typed
    options: Sequence[Constant]
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class TextTest:
    """``startsWith``, ``endsWith``, ``contains`` or ``matches``; the pattern of ``matches`` is constant."""

    place: Place
    test: str
    text: Typed
    argument: Typed
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class Arithmetic:
    """``+``, ``-``, ``*``, ``/`` or ``%`` of doubles; missing where it divides by zero or a double cannot hold it."""

    place: Place
    operator: str
    left: Typed
    right: Typed
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True)
class Negative:
    """``-``."""

    place: Place
    operand: Typed
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True)
class Length:
    """How many characters a text has."""

    place: Place
    text: Typed
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True)
class Count:
    """How many items a list has."""

    place: Place
    rows: Path
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True)
class Choose:
    """``condition ? then : otherwise``; missing where the condition is neither true nor false."""

    place: Place
    condition: Typed
    then: Typed
    otherwise: Typed
    kind: Kind


@dataclass(frozen=True)
class Some:
    """``rows.exists(row, condition)``."""

    place: Place
    rows: Path
    row: str
    condition: Typed
    kind: Kind = Kind.TRUTH


@dataclass(frozen=True)
class Every:
    """``rows.all(row, condition)``; true of an empty list."""

    place: Place
    rows: Path
    row: str
    condition: Typed
    kind: Kind = Kind.TRUTH


Typed = (
    Constant
    | Field
    | As
    | Present
    | Not
    | Both
    | Either
    | Compare
    | OneOf
    | TextTest
    | Arithmetic
    | Negative
    | Length
    | Count
    | Choose
    | Some
    | Every
)


@dataclass(frozen=True)
class OrderKey:
    """What to sort by; what is missing, and NaN, comes last in either direction."""

    expression: Typed
    descending: bool


def inside(root: Typed) -> Iterator[Typed]:
    """A tree's nodes, without recursion."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case As(_, _, field):
                waiting.append(field)
            case Not(_, operand) | Negative(_, operand) | OneOf(_, operand) | Length(_, operand):
                waiting.append(operand)
            case Both(_, terms) | Either(_, terms):
                waiting += terms
            case Compare(_, _, left, right) | Arithmetic(_, _, left, right) | TextTest(_, _, left, right):
                waiting += (left, right)
            case Choose(_, condition, then, otherwise):
                waiting += (condition, then, otherwise)
            case Some(_, _, _, condition) | Every(_, _, _, condition):
                waiting.append(condition)


def patterns(nodes: Iterable[Typed]) -> Iterator[Constant]:
    """The regular expressions of ``matches``."""
    for node in nodes:
        if isinstance(node, TextTest) and node.test == "matches" and isinstance(node.argument, Constant):
            yield node.argument
