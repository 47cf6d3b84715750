"""Versions as a comparison gets them, made by a test without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from weighbridge.core.comparison import Comparison, FileCounts
from weighbridge.core.values import MetricSummary, Record, Stage, Version
from weighbridge_server.domain.comparison.comparisons import compare_versions
from weighbridge_server.domain.comparison.ports import FilesBeside

MODEL = "fraud.tabular.transformer"


def made_version(
    number: int, record: Record | None = None, metrics: Mapping[str, float] | None = None, model: str = MODEL
) -> Version:
    """A whole version without files, whose metrics have one point each."""
    return Version(
        model=model,
        version=number,
        ref=f"{model}:{number}",
        manifest=bytes([number]) * 32,
        stage=Stage.DEVELOPMENT,
        creator="ada",
        created_time=datetime(2026, 11, 24, 12, number, tzinfo=UTC),
        files_total=1,
        bytes_total=1000,
        chunks_total=1,
        record=record or Record(),
        metrics=[MetricSummary(name, value, 0, 1, value, value) for name, value in (metrics or {}).items()],
    )


def beside(versions: Sequence[Version], lower: Sequence[str] = (), higher: Sequence[str] = ()) -> Comparison:
    """Versions that have the same files, compared."""
    files = FilesBeside([], 0, [FileCounts()] * len(versions), [version.bytes_total for version in versions])
    return compare_versions(versions, files, lower, higher)


def two(
    first: Record | None = None,
    second: Record | None = None,
    metrics: tuple[Mapping[str, float], Mapping[str, float]] = ({"auc": 0.9}, {"auc": 0.8}),
) -> Comparison:
    """Two versions, compared; unless it is said otherwise, the second is worse."""
    return beside([made_version(1, first, metrics[0]), made_version(2, second, metrics[1])])
