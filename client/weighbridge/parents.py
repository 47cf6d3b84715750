"""What a version is said to be made from, pinned to what it stands for when the version begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from weighbridge.core.errors import (
    AliasNotFound,
    InvalidName,
    InvalidReference,
    ModelDeleted,
    ModelNotFound,
    UsageError,
    VersionNotFound,
    Violation,
    WeighbridgeError,
)
from weighbridge.core.refs import parse_ref
from weighbridge.core.values import Parent

Parents: TypeAlias = str | Parent | Sequence[str | Parent] | None
"""One or several; a reference alone was fine-tuned from."""

_NOT_FOUND = (InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound)


def pinned(given: Parents, resolve: Callable[[str], str]) -> tuple[Parent, ...]:
    """Each as the version that it stands for now, which ``resolve`` tells of a reference.

    Raises:
        UsageError: something is neither a reference nor a ``Parent``.
        InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound: as of the first
            that cannot be found; where there are several, with a violation for each.
    """
    items = _items(given)
    found: list[Parent] = []
    faults: dict[int, WeighbridgeError] = {}
    for place, item in enumerate(items):
        parent = item if isinstance(item, Parent) else Parent(item)
        try:
            named = parse_ref(parent.ref).version is not None
            found.append(parent if named else Parent(resolve(parent.ref), parent.relation))
        except _NOT_FOUND as fault:
            faults[place] = fault
    if not faults:
        return tuple(found)
    first = next(iter(faults.values()))
    if len(faults) == 1:
        raise first
    violations = [Violation(f"parents[{place}].ref", each.message) for place, each in faults.items()]
    raise type(first)(first.message, violations=violations, details=first.details)


def _items(given: Parents) -> list[str | Parent]:
    if given is None:
        return []
    items = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    for item in items:
        if not isinstance(item, str | Parent):  # callers without a type checker
            ref = getattr(item, "ref", None)
            instead = f"its ref, {ref!r}" if isinstance(ref, str) else "a reference, such as 'name:7'"
            raise UsageError(
                f"a {type(item).__name__} is no parent; give {instead}, or wb.Parent(ref, wb.Relation.DISTILLED)"
            )
    return items
