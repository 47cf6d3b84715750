"""Evaluating a checked expression on one document.

A document is nested mappings and lists of plain values, as the names of the expression are nested: what
``candidate.metrics.accuracy.latest`` names is ``document["candidate"]["metrics"]["accuracy"]["latest"]``. What is not
there is missing. ``typed`` says when a condition is true, false or neither; here None is neither, and what is missing.
The search compiles the same trees to SQL, which a test holds to one meaning with this.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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

Value = float | str | bool | datetime
Document = Mapping[str, Any]

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMPUTED: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}
_LARGEST_WHOLE = 2.0**53
"""Up to here a double holds every whole number, and ``%`` is of those."""


@dataclass(frozen=True)
class Evaluation:
    """How expressions are evaluated on a document."""

    document: Document
    matches: Callable[[str, str], bool | None]
    """Whether a pattern is found in a text."""
    nan: bool = True
    """Whether NaN is a value, which compares as IEEE 754 says; else it is missing."""
    pending: bool = False
    """What is not there may come yet, and lists may grow: what depends on that is neither true nor false."""

    def value(self, typed: Typed) -> Value | None:
        """What an expression comes to; None: it is missing, or neither true nor false."""
        return self._value(typed, {})

    def seen(self, path: Path) -> Any:
        """What stands at a path, NaN too; None: nothing."""
        return _at(self.document, path)

    def _value(self, typed: Typed, rows: Mapping[str, Document]) -> Value | None:
        match typed:
            case Constant(_, _, value):
                return value
            case Field(_, _, row, path):
                return self._known(_at(rows[row] if row else self.document, path))
            case As(_, kind, field):
                value_ = self._value(field, rows)
                return value_ if _kind(value_) is kind else None
            case Present(_, path):
                return True if _at(self.document, path) is not None else self._unless_pending(False)
            case Not(_, operand):
                truth = self._truth(operand, rows)
                return None if truth is None else not truth
            case Both(_, terms):
                return _both([self._truth(term, rows) for term in terms])
            case Either(_, terms):
                return _either([self._truth(term, rows) for term in terms])
            case Compare(_, sign, left, right):
                return _compared(sign, self._value(left, rows), self._value(right, rows))
            case OneOf(_, operand, options):
                given = self._value(operand, rows)
                return None if given is None else any(_compared("==", given, option.value) for option in options)
            case TextTest(_, test, text, argument):
                return self._text_test(test, self._value(text, rows), self._value(argument, rows))
            case Arithmetic(_, sign, left, right):
                return self._known(_computed(sign, self._value(left, rows), self._value(right, rows)))
            case Negative(_, operand):
                number = self._value(operand, rows)
                return -number if isinstance(number, float) else None
            case Length(_, text):
                said = self._value(text, rows)
                return float(len(said)) if isinstance(said, str) else None
            case Count(_, path):
                return self._unless_pending(float(len(self._rows(path))))
            case Choose(_, condition, then, otherwise):
                truth = self._truth(condition, rows)
                return None if truth is None else self._value(then if truth else otherwise, rows)
            case Some(_, path, row, condition):
                found = _either([self._truth(condition, {**rows, row: item}) for item in self._rows(path)])
                return found or self._unless_pending(found)
            case Every(_, path, row, condition):
                found = _both([self._truth(condition, {**rows, row: item}) for item in self._rows(path)])
                return self._unless_pending(found) if found else found

    def _truth(self, typed: Typed, rows: Mapping[str, Document]) -> bool | None:
        value = self._value(typed, rows)
        return value if isinstance(value, bool) else None

    def _known(self, value: Any) -> Value | None:
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not self.nan and isinstance(value, float) and math.isnan(value):
            return None
        known: Value | None = value
        return known

    def _unless_pending(self, value: Value | None) -> Value | None:
        return None if self.pending else value

    def _rows(self, path: Path) -> Sequence[Document]:
        found: Sequence[Document] | None = _at(self.document, path)
        return found or ()

    def _text_test(self, test: str, text: Value | None, argument: Value | None) -> bool | None:
        if not isinstance(text, str) or not isinstance(argument, str):
            return None
        match test:
            case "startsWith":
                return text.startswith(argument)
            case "endsWith":
                return text.endswith(argument)
            case "contains":
                return argument in text
        return self.matches(text, argument)


def _at(document: Any, path: Path) -> Any:
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document


def _kind(value: Value | None) -> Kind | None:
    match value:
        case bool():
            return Kind.TRUTH
        case float():
            return Kind.NUMBER
        case str():
            return Kind.TEXT
        case datetime():
            return Kind.TIME
    return None


def _compared(sign: str, left: Value | None, right: Value | None) -> bool | None:
    if left is None or right is None:
        return None
    if _kind(left) is not _kind(right):
        return {"==": False, "!=": True}.get(sign)
    if isinstance(left, bool) and sign not in ("==", "!="):
        return None
    return bool(_COMPARED[sign](left, right))


def _both(terms: Sequence[bool | None]) -> bool | None:
    if False in terms:
        return False
    return None if None in terms else True


def _either(terms: Sequence[bool | None]) -> bool | None:
    if True in terms:
        return True
    return None if None in terms else False


def _computed(sign: str, left: Value | None, right: Value | None) -> float | None:
    """What a double cannot hold, though it holds both operands, is missing; so is a division by zero."""
    if not isinstance(left, float) or not isinstance(right, float):
        return None
    if sign in "/%" and right == 0:
        return None
    if sign == "%" and not (_is_whole(left) and _is_whole(right)):
        return None
    result = _COMPUTED[sign](left, right)
    if math.isinf(result) and math.isfinite(left) and math.isfinite(right):
        return None
    return float(result)


def _is_whole(number: float) -> bool:
    return math.isfinite(number) and number.is_integer() and abs(number) <= _LARGEST_WHOLE
