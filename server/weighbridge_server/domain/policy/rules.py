"""The conditions of a policy: read, checked, and what each of them names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from weighbridge.core.policies import PolicyRule
from weighbridge_server.domain.expressions.check import check_condition
from weighbridge_server.domain.expressions.mistakes import Mistake, Mistaken, Place, invalid_expression
from weighbridge_server.domain.expressions.parse import parse_condition
from weighbridge_server.domain.expressions.typed import (
    Count,
    Every,
    Field,
    Path,
    Present,
    Some,
    Typed,
    inside,
    patterns,
)
from weighbridge_server.domain.policy.subject import INCUMBENT, RULE
from weighbridge_server.domain.ports import Transaction

_KEPT = 1024
"""Conditions that a process keeps in their checked form."""


@dataclass(frozen=True)
class Condition:
    """A condition that was checked."""

    typed: Typed
    named: Sequence[Path]
    """What it names, each once, in the order in which they stand in it; items of lists by their list."""

    @property
    def needs_incumbent(self) -> bool:
        """Whether it names the version that would be displaced."""
        return any(path[0] == INCUMBENT for path in self.named)

    @property
    def names_files(self) -> bool:
        """Whether it looks at the files of a version."""
        return any(path[1:2] == ("files",) for path in self.named)


@lru_cache(_KEPT)
def condition(cel: str) -> Condition:
    """The condition of a rule. Raises: Mistaken."""
    typed = check_condition(parse_condition(cel), RULE)
    found = sorted(_named(typed), key=lambda item: item[0])
    return Condition(typed, tuple(dict.fromkeys(path for _, path in found)))


def check_rules(tx: Transaction, rules: Sequence[PolicyRule]) -> None:
    """Reads every condition.

    Raises:
        InvalidExpression: with every mistake of every rule.
    """
    mistakes: dict[str, Sequence[Mistake]] = {}
    for place, rule in enumerate(rules):
        field = f"rules[{place}].cel"
        try:
            checked = condition(rule.cel)
        except Mistaken as mistaken:
            mistakes[field] = mistaken.mistakes
        else:
            mistakes[field] = tx.search.unreadable(list(patterns(inside(checked.typed))))
    if any(mistakes.values()):
        raise invalid_expression(mistakes)


def _named(typed: Typed) -> Iterator[tuple[Place, Path]]:
    for node in inside(typed):
        match node:
            case Field(place, _, "", path) | Present(place, path) | Count(place, path):
                yield place, path
            case Some(place, path) | Every(place, path):
                yield place, path
