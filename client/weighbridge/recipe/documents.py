"""The files of a recipe that programs read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any

from weighbridge.core.digest import format_digest
from weighbridge.core.manifest import FileSummary
from weighbridge.core.values import Record, Version


def json_text(value: Any) -> str:
    """JSON that a person can read too. Numbers keep their kind: 1.0 is not 1."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def datasets_document(record: Record) -> list[dict[str, str]]:
    """The data, in the order in which it was recorded."""
    return [asdict(dataset) for dataset in record.datasets]


def recipe_document(
    version: Version, record: Record, files: Sequence[FileSummary], gaps: Sequence[str]
) -> dict[str, Any]:
    """Everything that is known of how a version was made, and what came of it."""
    return {
        "model": version.model,
        "version": version.version,
        "ref": version.ref,
        "manifest_digest": format_digest(version.manifest),
        "created_time": version.created_time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "creator": version.creator,
        "description": record.description,
        "source": None if record.source is None else asdict(record.source),
        "environment": None if record.environment is None else asdict(record.environment),
        "params": dict(record.params),
        "datasets": datasets_document(record),
        "parents": [{"ref": parent.ref, "relation": str(parent.relation)} for parent in record.parents],
        "tags": dict(record.tags),
        "metrics": _metrics({metric.name: metric.latest for metric in version.metrics or ()}),
        "energy": None if record.energy is None else asdict(record.energy),
        "signature": None if record.signature is None else asdict(record.signature),
        "files": [
            {"path": file.path, "size_bytes": file.size_bytes, "root": format_digest(file.root)} for file in files
        ],
        "gaps": list(gaps),
    }


def _metrics(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no NaN and no infinities: they become text, as in protobuf's JSON."""
    return {name: value if math.isfinite(value) else _named(value) for name, value in metrics.items()}


def _named(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
