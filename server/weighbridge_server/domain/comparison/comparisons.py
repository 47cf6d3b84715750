"""Comparing committed versions, as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from weighbridge.core.comparison import Comparison, FieldDifference, check_count
from weighbridge.core.direction import check_directions
from weighbridge.core.refs import parse_ref
from weighbridge.core.values import Record, Version
from weighbridge_server.domain.comparison import record_fields
from weighbridge_server.domain.comparison.fields import Fields, field_differences
from weighbridge_server.domain.comparison.metrics import metric_differences
from weighbridge_server.domain.comparison.ports import FilesBeside
from weighbridge_server.domain.comparison.suspects import suspects
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.versions import find_version

_MOST_ROWS = 1000
_MOST_VALUES = 8000
"""Of metrics, and of files: so that two versions of whatever size make an answer that fits a message."""


class Comparisons:
    """How versions differ."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def compare(self, refs: Sequence[str], lower: Collection[str], higher: Collection[str]) -> Comparison:
        """Each version beside the first. ``lower``, ``higher``: metrics of which less, or more, is better.

        Raises:
            UsageError, InvalidRequest, and as ``Versions.get`` for each reference.
        """
        check_count(refs)
        check_directions(lower, higher)
        parsed = [parse_ref(ref) for ref in refs]
        with self._catalog.transaction() as tx:
            versions = [find_version(tx, ref, whole=True) for ref in parsed]
            files = tx.comparisons.files(versions, _most_listed(versions))
        return compare_versions(versions, files, lower, higher)


def _most_listed(versions: Sequence[Version]) -> int:
    return min(_MOST_ROWS, _MOST_VALUES // len(versions))


def compare_versions(
    versions: Sequence[Version], files: FilesBeside, lower: Collection[str], higher: Collection[str]
) -> Comparison:
    """Whole versions, the first of which is what the others are compared with."""
    records = [version.record or Record() for version in versions]
    metrics = metric_differences([version.metrics or () for version in versions], lower, higher)
    listed = metrics[: _most_listed(versions)]

    def beside(part: Callable[[Record], Fields | None]) -> tuple[FieldDifference, ...]:
        return tuple(field_differences([part(record) for record in records]))

    return Comparison(
        versions=tuple(replace(version, record=None, metrics=None) for version in versions),
        description=_description([record.description for record in records]),
        metrics=tuple(listed),
        params=beside(lambda record: record.params),
        tags=beside(lambda record: record.tags),
        datasets=beside(record_fields.dataset_fields),
        parents=beside(record_fields.parent_fields),
        source=beside(record_fields.source_fields),
        environment=beside(record_fields.environment_fields),
        packages=tuple(package for package in beside(record_fields.package_fields) if package.differs),
        energy=beside(record_fields.energy_fields),
        signature=beside(record_fields.signature_fields),
        files=tuple(files.differing),
        file_counts=tuple(files.counts),
        shared_bytes=tuple(files.shared_bytes),
        suspects=tuple(suspects([version.ref for version in versions], records, listed)),
        metrics_left_out=len(metrics) - len(listed),
        files_left_out=files.differing_total - len(files.differing),
    )


def _description(texts: Sequence[str]) -> FieldDifference:
    return FieldDifference("description", tuple(text or None for text in texts), len(set(texts)) > 1)
