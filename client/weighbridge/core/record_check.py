"""What a record must be like, checked by the SDK before anything is sent and by the server again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.values import MetricPoint, Record, Scalar

_LARGEST_INT = 2**53 - 1
_NAME_BYTES = 256


def check_record(record: Record) -> None:
    """Checks values, names and texts.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = [
        *_text("description", record.description),
        *_scalars("params", record.params),
        *_scalars("tags", record.tags),
    ]
    for place, dataset in enumerate(record.datasets):
        at = f"datasets[{place}]"
        violations += _name(f"{at}.name", dataset.name)
        for field in ("version", "digest", "uri", "role"):
            violations += _text(f"{at}.{field}", getattr(dataset, field))
    for place, parent in enumerate(record.parents):
        violations += _text(f"parents[{place}].ref", parent.ref)
    _refuse("the record", violations)


def check_metrics(points: Sequence[MetricPoint]) -> None:
    """Checks the names and steps of metric points; any value is kept, NaN and infinities too.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations: list[Violation] = []
    for name in dict.fromkeys(point.name for point in points):
        violations += _name(f"metrics.{name}", name)
    violations += [
        Violation(f"metrics.{point.name}", f"has step {point.step}, which 64 bits do not hold")
        for point in points
        if not -(2**63) <= point.step < 2**63
    ]
    _refuse("the metrics", violations)


def _refuse(what: str, violations: Sequence[Violation]) -> None:
    if violations:
        raise InvalidRequest(f"{what} cannot be taken: {len(violations)} things are wrong", violations=violations)


def _scalars(where: str, values: Mapping[str, Scalar]) -> Iterator[Violation]:
    for name, value in values.items():
        path = f"{where}.{name}"
        yield from _name(path, name)
        if isinstance(value, str):
            yield from _text(path, value)
        elif isinstance(value, float) and not math.isfinite(value):
            yield Violation(path, f"is {value}; only finite numbers can be recorded")
        elif isinstance(value, int) and abs(value) > _LARGEST_INT:
            yield Violation(path, "is beyond 2^53 - 1, which not every reader keeps exact; record it as text")
        elif not isinstance(value, int | float):
            yield Violation(path, f"is a {type(value).__name__}; values are text, numbers, true or false")


def _name(path: str, name: str) -> Iterator[Violation]:
    yield from _text(path, name)
    if not isinstance(name, str):
        return
    if not name:
        yield Violation(path, "has an empty name")
    if len(name.encode(errors="replace")) > _NAME_BYTES:
        yield Violation(path[:80], f"has a name of more than {_NAME_BYTES} bytes")


def _text(path: str, text: str) -> Iterator[Violation]:
    if not isinstance(text, str):  # callers without a type checker
        yield Violation(path, f"is a {type(text).__name__}, not text")
        return
    if "\0" in text:
        yield Violation(path, "contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        yield Violation(path, "is not valid Unicode")
