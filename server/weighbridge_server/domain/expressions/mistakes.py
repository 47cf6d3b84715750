"""Where in an expression something is wrong, and what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weighbridge.core.errors import InvalidExpression, Violation


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a text: line and column, both from 1; columns count characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong."""

    place: Place
    message: str


class Mistaken(Exception):
    """An expression cannot be read: it has one mistake or more."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__(*mistakes)
        self.mistakes = mistakes


def invalid_expression(mistakes: dict[str, Sequence[Mistake]]) -> InvalidExpression:
    """The error for what is wrong with expressions, by the names of the fields that hold them.

    The violations stand in the order of the fields; the details say how many each field has.
    """
    mistakes = {field: sorted(found, key=lambda mistake: mistake.place) for field, found in mistakes.items() if found}
    field, first = next((field, found[0]) for field, found in mistakes.items())
    total = sum(map(len, mistakes.values()))
    more = "" if total == 1 else f"; {total} things are wrong in all"
    return InvalidExpression(
        f"{field} is wrong at {first.place}: {first.message}{more}",
        violations=[Violation(str(one.place), one.message) for found in mistakes.values() for one in found],
        details={field: str(len(found)) for field, found in mistakes.items()},
    )
