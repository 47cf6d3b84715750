"""How versions differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from weighbridge.core import comparison as values
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import DataLoss
from weighbridge.core.values import Scalar
from weighbridge.v1 import versions_pb2
from weighbridge.wire.convert.common import digest_value
from weighbridge.wire.convert.records import scalar_message, scalar_value, summary_message, summary_value
from weighbridge.wire.convert.versions import version_message, version_value

Item = TypeVar("Item")

_KINDS: Mapping[values.SuspectKind, versions_pb2.SuspectKind.ValueType] = {
    values.SuspectKind.DATA: versions_pb2.SUSPECT_KIND_DATA,
    values.SuspectKind.CODE: versions_pb2.SUSPECT_KIND_CODE,
    values.SuspectKind.ENVIRONMENT: versions_pb2.SUSPECT_KIND_ENVIRONMENT,
    values.SuspectKind.PARAMETERS: versions_pb2.SUSPECT_KIND_PARAMETERS,
    values.SuspectKind.PARENTS: versions_pb2.SUSPECT_KIND_PARENTS,
}
_KINDS_BACK = {number: kind for kind, number in _KINDS.items()}


def comparison_message(comparison: values.Comparison) -> versions_pb2.Comparison:
    """A comparison as a message."""
    return versions_pb2.Comparison(
        versions=map(version_message, comparison.versions),
        description=_field_message(comparison.description),
        metrics=map(_metric_message, comparison.metrics),
        params=map(_field_message, comparison.params),
        tags=map(_field_message, comparison.tags),
        datasets=map(_field_message, comparison.datasets),
        parents=map(_field_message, comparison.parents),
        source=map(_field_message, comparison.source),
        environment=map(_field_message, comparison.environment),
        packages=map(_field_message, comparison.packages),
        energy=map(_field_message, comparison.energy),
        signature=map(_field_message, comparison.signature),
        files=map(_file_message, comparison.files),
        file_counts=[
            versions_pb2.FileCounts(added=counts.added, removed=counts.removed, changed=counts.changed)
            for counts in comparison.file_counts
        ],
        shared_bytes=comparison.shared_bytes,
        suspects=map(_suspects_message, comparison.suspects),
        metrics_left_out=comparison.metrics_left_out,
        files_left_out=comparison.files_left_out,
    )


def comparison_value(message: versions_pb2.Comparison) -> values.Comparison:
    """A message as a comparison.

    Raises:
        DataLoss: its lists are not all as long as that of its versions, or it has a digest or a time that is none.
    """
    versions = tuple(version_value(version) for version in message.versions)
    count = len(versions)
    return values.Comparison(
        versions=versions,
        description=_field_value(message.description, count)
        if message.HasField("description")
        else values.FieldDifference("description", (None,) * count, False),
        metrics=tuple(_metric_value(metric, count) for metric in message.metrics),
        params=_field_values(message.params, count),
        tags=_field_values(message.tags, count),
        datasets=_field_values(message.datasets, count),
        parents=_field_values(message.parents, count),
        source=_field_values(message.source, count),
        environment=_field_values(message.environment, count),
        packages=_field_values(message.packages, count),
        energy=_field_values(message.energy, count),
        signature=_field_values(message.signature, count),
        files=tuple(_file_value(file, count) for file in message.files),
        file_counts=tuple(
            values.FileCounts(counts.added, counts.removed, counts.changed)
            for counts in _each(message.file_counts, count, "file_counts")
        ),
        shared_bytes=tuple(_each(message.shared_bytes, count, "shared_bytes")),
        suspects=tuple(_suspects_value(suspects, count) for suspects in message.suspects),
        metrics_left_out=message.metrics_left_out,
        files_left_out=message.files_left_out,
    )


def _field_message(field: values.FieldDifference) -> versions_pb2.FieldDifference:
    return versions_pb2.FieldDifference(
        name=field.name,
        values=[
            versions_pb2.OptionalValue(value=None if value is None else scalar_message(value)) for value in field.values
        ],
        differs=field.differs,
    )


def _field_values(messages: Iterable[versions_pb2.FieldDifference], count: int) -> tuple[values.FieldDifference, ...]:
    return tuple(_field_value(message, count) for message in messages)


def _field_value(message: versions_pb2.FieldDifference, count: int) -> values.FieldDifference:
    held: list[Scalar | None] = [
        scalar_value(one.value) if one.HasField("value") else None for one in _each(message.values, count, message.name)
    ]
    return values.FieldDifference(message.name, tuple(held), message.differs)


def _metric_message(metric: values.MetricDifference) -> versions_pb2.MetricDifference:
    return versions_pb2.MetricDifference(
        name=metric.name,
        lower_is_better=bool(metric.lower_is_better),
        neither_is_better=metric.lower_is_better is None,
        values=[
            versions_pb2.OptionalMetric(
                summary=None if summary is None else summary_message(replace(summary, name="")),
                difference=difference,
                better=better,
            )
            for summary, difference, better in zip(metric.values, metric.differences, metric.better, strict=True)
        ],
    )


def _metric_value(message: versions_pb2.MetricDifference, count: int) -> values.MetricDifference:
    held = _each(message.values, count, message.name)
    return values.MetricDifference(
        name=message.name,
        lower_is_better=None if message.neither_is_better else message.lower_is_better,
        values=tuple(
            replace(summary_value(one.summary), name=message.name) if one.HasField("summary") else None for one in held
        ),
        differences=tuple(one.difference if one.HasField("difference") else None for one in held),
        better=tuple(one.better if one.HasField("better") else None for one in held),
    )


def _file_message(file: values.FileDifference) -> versions_pb2.FileDifference:
    return versions_pb2.FileDifference(
        path=file.path,
        values=[
            versions_pb2.OptionalFile(size_bytes=size_bytes, root="" if root is None else format_digest(root))
            for size_bytes, root in zip(file.sizes, file.roots, strict=True)
        ],
    )


def _file_value(message: versions_pb2.FileDifference, count: int) -> values.FileDifference:
    held = _each(message.values, count, message.path)
    return values.FileDifference(
        path=message.path,
        sizes=tuple(one.size_bytes if one.HasField("size_bytes") else None for one in held),
        roots=tuple(digest_value(one.root, message.path) if one.HasField("size_bytes") else None for one in held),
    )


def _suspects_message(suspects: values.Suspects) -> versions_pb2.Suspects:
    return versions_pb2.Suspects(
        metrics=suspects.metrics,
        version_index=suspects.version_index,
        suspects=[
            versions_pb2.Suspect(kind=_KINDS[kind], changes=changes) for kind, changes in suspects.changes.items()
        ],
        not_recorded=[_KINDS[kind] for kind in suspects.not_recorded],
    )


def _suspects_value(message: versions_pb2.Suspects, count: int) -> values.Suspects:
    """Kinds of a later release are passed over: what they are cannot be said here."""
    if not 0 < message.version_index < count:
        raise DataLoss(f"the server suspects version {message.version_index} of the {count} that it compared")
    return values.Suspects(
        version_index=message.version_index,
        metrics=tuple(message.metrics),
        changes={
            _KINDS_BACK[suspect.kind]: tuple(suspect.changes)
            for suspect in message.suspects
            if suspect.kind in _KINDS_BACK
        },
        not_recorded=tuple(_KINDS_BACK[kind] for kind in message.not_recorded if kind in _KINDS_BACK),
    )


def _each(items: Sequence[Item], count: int, what: str) -> Sequence[Item]:
    """The items, one for each version that is compared. Raises: DataLoss."""
    if len(items) != count:
        raise DataLoss(f"the server compared {count} versions and sent {len(items)} values of {what[:80]!r}")
    return items
