"""Named values of several versions beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weighbridge.core.comparison import FieldDifference
from weighbridge.core.values import Scalar

Fields = Mapping[str, Scalar]


def field_differences(parts: Sequence[Fields | None]) -> list[FieldDifference]:
    """Every name that a version has, in order; a version without this part of a record (None) makes no difference."""
    recorded = [part for part in parts if part is not None]
    return [
        FieldDifference(
            name=name,
            values=tuple(None if part is None else part.get(name) for part in parts),
            differs=any(not same(part.get(name), recorded[0].get(name)) for part in recorded),
        )
        for name in sorted({name for part in recorded for name in part})
    ]


def same(one: Scalar | None, other: Scalar | None) -> bool:
    """Whether two values mean the same: 1 and 1.0 do, 1 and True do not."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
