"""What a record must be like, checked by the SDK before anything is sent and by the server again."""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.text_check import wrong_text
from weighbridge.core.values import (
    Dataset,
    Energy,
    Environment,
    MetricPoint,
    Parent,
    Record,
    Relation,
    Scalar,
    Signature,
    SourceCode,
    TensorSpec,
)

Item = TypeVar("Item")

_LARGEST_INT = 2**53 - 1
_NAME_BYTES = 256
_MOST_BYTES = {
    "datasets": {"version": 256, "digest": 256, "uri": 2048, "role": 64},
    "source": {"repository": 2048, "commit": 256, "branch": 1024, "entry_point": 4096},
    "energy": {"region": 256, "method": 256},
}
"""What the protocol allows for texts that are short by their nature."""
_REF_BYTES = 512
_DTYPE_BYTES = 64
_MOST_DATASETS = 1024
_MOST_PARENTS = 64
_MOST_ARGUMENTS = 4096
_MOST_ACCELERATORS = 1024
_MOST_TENSORS = 1024
_MOST_DIMENSIONS = 64
_AS_TEXT = "record it as text, which the command line takes in quotes: '\"…\"'"
_RELATIONS = tuple(map(str, Relation))
_DIGEST = re.compile(r"(b3:[0-9a-f]{64})?")


def check_record(record: Record) -> None:
    """Checks values, names and texts.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = [
        *wrong_text("description", record.description),
        *_scalars("params", record.params),
        *_scalars("tags", record.tags),
        *_count("datasets", record.datasets, _MOST_DATASETS),
        *_count("parents", record.parents, _MOST_PARENTS),
    ]
    for at, dataset in _each("datasets", record.datasets, Dataset, violations):
        violations += _name(f"{at}.name", dataset.name)
        for field, most_bytes in _MOST_BYTES["datasets"].items():
            violations += wrong_text(f"{at}.{field}", getattr(dataset, field), most_bytes=most_bytes)
    for at, parent in _each("parents", record.parents, Parent, violations):
        violations += wrong_text(f"{at}.ref", parent.ref, most_bytes=_REF_BYTES)
        if not (isinstance(parent.relation, str) and parent.relation in _RELATIONS):
            violations.append(
                Violation(f"{at}.relation", f"is {str(parent.relation)[:80]!r}; it is one of {', '.join(_RELATIONS)}")
            )
    if record.source is not None:
        violations += _source(record.source)
    if record.environment is not None:
        violations += _environment(record.environment)
    if record.signature is not None:
        violations += _signature(record.signature)
    if record.energy is not None:
        violations += _energy(record.energy)
    _refuse("the record", violations)


def check_record_update(set_tags: Mapping[str, Scalar], remove_tags: Sequence[str], description: str | None) -> None:
    """Checks what is to be changed of a committed version: tags, and the description where one is given.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = [*_scalars("set_tags", set_tags)]
    for place, name in enumerate(remove_tags):
        violations += _name(f"remove_tags[{place}]", name)
    removed = {name for name in remove_tags if isinstance(name, str)}
    violations += [
        Violation(f"set_tags.{name}", "is to be removed too; set it or remove it")
        for name in set_tags
        if name in removed
    ]
    if description is not None:
        violations += wrong_text("description", description)
    if not set_tags and not remove_tags and description is None:
        violations.append(Violation("request", "changes nothing; give tags to set or to remove, or a description"))
    _refuse("the change", violations)


def check_metrics(points: Sequence[MetricPoint]) -> None:
    """Checks the names and numbers of metric points; any value is kept, NaN and infinities too.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations: list[Violation] = []
    right = [point for _, point in _each("points", points, MetricPoint, violations)]
    for name in dict.fromkeys(point.name for point in right):
        violations += metric_name_violations(name)
    for point in right:
        violations += metric_number_violations(point.name, point.value, point.step)
        violations += _time(f"metrics.{point.name}", point.time)
    _refuse("the metrics", violations)


def _time(path: str, time: object) -> Iterator[Violation]:
    """What is wrong with the time of a point."""
    if time is None:
        return
    if not isinstance(time, datetime):
        said = f"has the time {str(time)[:80]!r}, which is a {type(time).__name__}"
        yield Violation(path, f"{said}; give a datetime, such as datetime.fromtimestamp(seconds, UTC)")
        return
    try:
        time.astimezone(UTC)
    except (OverflowError, ValueError):
        yield Violation(path, "has a time beyond the years 1 to 9999")


def metric_name_violations(name: str) -> Iterator[Violation]:
    """What is wrong with the name of a metric."""
    return _name(f"metrics.{name}", name)


def metric_number_violations(name: str, value: object, step: object) -> Iterator[Violation]:
    """What is wrong with the value and the step of a point."""
    path = f"metrics.{name}"
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        yield Violation(path, f"has the value {str(value)[:80]!r}, which is not a number")
    try:
        if not -(2**63) <= whole_step(step) < 2**63:
            yield Violation(path, f"has step {step}, which 64 bits do not hold")
    except TypeError:
        yield Violation(path, f"has the step {str(step)[:80]!r}, which is not a whole number")


def whole_step(step: Any) -> int:
    """A step as it is recorded; one that is computed may be a float. Raises TypeError where it is not whole."""
    if isinstance(step, float) or hasattr(step, "is_integer"):
        if not math.isfinite(step) or not float(step).is_integer():
            raise TypeError(f"{step} is not whole")
        return int(step)
    return operator.index(step)


def _refuse(what: str, violations: Sequence[Violation]) -> None:
    if violations:
        raise InvalidRequest(f"{what} cannot be taken", violations=violations)


def _scalars(where: str, values: Mapping[str, Scalar]) -> Iterator[Violation]:
    for name, value in values.items():
        path = f"{where}.{name}"
        yield from _name(path, name)
        if isinstance(value, str):
            yield from wrong_text(path, value)
        elif isinstance(value, float) and not math.isfinite(value):
            yield Violation(path, f"is {value}; only finite numbers can be recorded; {_AS_TEXT}")
        elif isinstance(value, int) and abs(value) > _LARGEST_INT:
            yield Violation(path, f"is beyond 2^53 - 1, which not every reader keeps exact; {_AS_TEXT}")
        elif not isinstance(value, int | float):
            yield Violation(path, f"is a {type(value).__name__}; values are text, numbers, true or false")


def _source(source: SourceCode) -> Iterator[Violation]:
    for field, most_bytes in _MOST_BYTES["source"].items():
        yield from wrong_text(f"source.{field}", getattr(source, field), most_bytes=most_bytes)
    for field in ("diff_digest", "untracked_digest"):
        yield from _digest(f"source.{field}", getattr(source, field))
    yield from _count("source.command", source.command, _MOST_ARGUMENTS)
    for place, argument in enumerate(source.command):
        yield from wrong_text(f"source.command[{place}]", argument)


def _environment(environment: Environment) -> Iterator[Violation]:
    texts = ("python", "implementation", "os", "platform", "cpu", "container_image", "lock_file", "host", "user")
    for field in texts:
        yield from wrong_text(f"environment.{field}", getattr(environment, field))
    yield from _digest("environment.lock_digest", environment.lock_digest)
    for field in ("cpu_count", "packages_left_out"):
        yield from _whole(f"environment.{field}", getattr(environment, field), 0)
    yield from _count("environment.accelerators", environment.accelerators, _MOST_ACCELERATORS)
    for place, device in enumerate(environment.accelerators):
        at = f"environment.accelerators[{place}]"
        yield from _name(f"{at}.name", device.name)
        yield from wrong_text(f"{at}.driver", device.driver)
        yield from _whole(f"{at}.memory_bytes", device.memory_bytes, 0)
    for name, version in environment.packages.items():
        yield from _name(f"environment.packages.{name}", name)
        yield from wrong_text(f"environment.packages.{name}", version)


def _signature(signature: Signature) -> Iterator[Violation]:
    for side in ("inputs", "outputs"):
        yield from _count(f"signature.{side}", getattr(signature, side), _MOST_TENSORS)
        none: list[Violation] = []
        for at, spec in _each(f"signature.{side}", getattr(signature, side), TensorSpec, none):
            yield from _name(f"{at}.name", spec.name)
            yield from wrong_text(f"{at}.dtype", spec.dtype, most_bytes=_DTYPE_BYTES)
            if not isinstance(spec.shape, Sequence) or isinstance(spec.shape, str):
                yield Violation(f"{at}.shape", f"is a {type(spec.shape).__name__}; it is a list of lengths")
                continue
            yield from _count(f"{at}.shape", spec.shape, _MOST_DIMENSIONS)
            for axis, length in enumerate(spec.shape):
                yield from _whole(f"{at}.shape[{axis}]", length, -1)
        yield from none


def _energy(energy: Energy) -> Iterator[Violation]:
    for field in ("kwh", "gco2e"):
        value = getattr(energy, field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Violation(f"energy.{field}", f"is a {type(value).__name__}, not a number")
        elif not 0 <= value <= sys.float_info.max:
            yield Violation(f"energy.{field}", f"is {value}; it is a finite number, 0 or more")
    for field, most_bytes in _MOST_BYTES["energy"].items():
        yield from wrong_text(f"energy.{field}", getattr(energy, field), most_bytes=most_bytes)


def _digest(path: str, text: str) -> Iterator[Violation]:
    if not (isinstance(text, str) and _DIGEST.fullmatch(text)):
        yield Violation(path, "is not a digest; it is written b3: and 64 lowercase hex digits")


def _whole(path: str, value: int, least: int) -> Iterator[Violation]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield Violation(path, f"is a {type(value).__name__}, not a whole number")
    elif not least <= value <= _LARGEST_INT:
        yield Violation(path, f"is {value}; it is a number from {least} to 2^53 - 1")


def _name(path: str, name: str) -> Iterator[Violation]:
    yield from wrong_text(path, name)
    if not isinstance(name, str):
        return
    if not name:
        yield Violation(path, "has an empty name")
    if len(name.encode(errors="replace")) > _NAME_BYTES:
        yield Violation(path[:80], f"has a name of more than {_NAME_BYTES} bytes")


def _each(where: str, items: Sequence[Item], kind: type[Item], wrong: list[Violation]) -> Iterator[tuple[str, Item]]:
    """The items with their places; what a caller without a type checker gave for one goes to ``wrong``."""
    for place, item in enumerate(items):
        if isinstance(item, kind):
            yield f"{where}[{place}]", item
        else:
            what = f"is a {type(item).__name__}; give a wb.{kind.__name__}"
            wrong.append(Violation(f"{where}[{place}]", what))


def _count(path: str, items: Sequence[object], most: int) -> Iterator[Violation]:
    if len(items) > most:
        yield Violation(path, f"has {len(items)} items; at most {most} are kept")
