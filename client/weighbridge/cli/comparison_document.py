"""A comparison as JSON. Lists of values stand in the order of ``versions``; null is a value that a version lacks.

``lower_is_better`` is null of a metric of which neither way is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weighbridge.cli.documents import summary_document, version_document
from weighbridge.core.comparison import Comparison, FieldDifference, FileDifference, MetricDifference
from weighbridge.core.digest import format_digest


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison, digests in full."""
    return {
        "versions": [version_document(version) for version in comparison.versions],
        "description": _field(comparison.description),
        "metrics": [_metric(metric) for metric in comparison.metrics],
        "params": _fields(comparison.params),
        "tags": _fields(comparison.tags),
        "datasets": _fields(comparison.datasets),
        "parents": _fields(comparison.parents),
        "source": _fields(comparison.source),
        "environment": _fields(comparison.environment),
        "packages": _fields(comparison.packages),
        "energy": _fields(comparison.energy),
        "signature": _fields(comparison.signature),
        "files": [_file(file) for file in comparison.files],
        "file_counts": [vars(counts) for counts in comparison.file_counts],
        "shared_bytes": list(comparison.shared_bytes),
        "suspects": [
            {
                "ref": comparison.versions[suspects.version_index].ref,
                "version_index": suspects.version_index,
                "metrics": list(suspects.metrics),
                "changes": [{"kind": str(kind), "changes": list(said)} for kind, said in suspects.changes.items()],
                "not_recorded": list(map(str, suspects.not_recorded)),
            }
            for suspects in comparison.suspects
        ],
        "metrics_left_out": comparison.metrics_left_out,
        "files_left_out": comparison.files_left_out,
    }


def _fields(fields: Sequence[FieldDifference]) -> list[dict[str, Any]]:
    return [_field(field) for field in fields]


def _field(field: FieldDifference) -> dict[str, Any]:
    return {"name": field.name, "values": list(field.values), "differs": field.differs}


def _metric(metric: MetricDifference) -> dict[str, Any]:
    return {
        "name": metric.name,
        "lower_is_better": metric.lower_is_better,
        "values": [None if summary is None else summary.latest for summary in metric.values],
        "differences": list(metric.differences),
        "better": list(metric.better),
        "summaries": [None if summary is None else summary_document(summary) for summary in metric.values],
    }


def _file(file: FileDifference) -> dict[str, Any]:
    return {
        "path": file.path,
        "sizes_bytes": list(file.sizes),
        "roots": [None if root is None else format_digest(root) for root in file.roots],
    }
