"""A version as the JSON that schemas are held against; SPEC.md describes it (section "What a schema sees")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from weighbridge.core.digest import format_digest
from weighbridge.core.manifest import FileSummary
from weighbridge.core.values import MetricSummary, Record
from weighbridge_server.domain.schema.json_schema.keywords import PENDING, NotFinite


def begun_document(model: str, record: Record) -> dict[str, Any]:
    """A version at its begin: its metrics and files are yet to come."""
    return {**_recorded(model, record), "metrics": PENDING, "files": PENDING}


def version_document(
    model: str, record: Record, metrics: Iterable[MetricSummary], files: Iterable[FileSummary]
) -> dict[str, Any]:
    """A whole version."""
    return {
        **_recorded(model, record),
        "metrics": {metric.name: _number(metric.latest) for metric in metrics},
        "files": [
            {"path": file.path, "size_bytes": file.size_bytes, "root": format_digest(file.root)} for file in files
        ],
    }


def _recorded(model: str, record: Record) -> dict[str, Any]:
    return {"model": model, **_said(record)}


def _said(value: Any) -> Any:
    """A value as JSON. Of an object the members that say something; maps, shapes and what is true or false always do.

    What a schema asks of a tag, it asks of a version without tags too, and a scalar's shape is the empty list.
    """
    if is_dataclass(value):
        named = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _said(item) for name, item in named if _says(name, item)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return [_said(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _says(name: str, value: Any) -> bool:
    return bool(value) or name == "shape" or isinstance(value, Mapping | bool | float)


def _number(value: float) -> float | NotFinite:
    """JSON has no NaN and no infinities: they become text, as in protobuf's JSON."""
    if math.isfinite(value):
        return value
    return NotFinite("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
