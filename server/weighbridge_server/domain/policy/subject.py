"""A version as rules see it: what they can name of it, and the document that the names lead into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from weighbridge.core.digest import format_digest
from weighbridge.core.manifest import FileSummary
from weighbridge.core.refs import parse_ref
from weighbridge.core.values import ENVIRONMENT_TEXTS, SOURCE_TEXTS, Record, Version
from weighbridge_server.domain.expressions.evaluate import Document
from weighbridge_server.domain.expressions.types import Kind, Message, Rows, Scalar
from weighbridge_server.domain.search.version_names import VERSION

_FILE = Message(
    "a file",
    {
        "path": Scalar(Kind.TEXT, always=True),
        "size_bytes": Scalar(Kind.NUMBER, always=True),
        "root_digest": Scalar(Kind.TEXT, always=True),
    },
)
_SUBJECT = replace(VERSION, fields={**VERSION.fields, "files": Rows(_FILE)})

CANDIDATE = "candidate"
INCUMBENT = "incumbent"
RULE = Message("a rule", {CANDIDATE: _SUBJECT, INCUMBENT: _SUBJECT})
"""What a rule can name: of the version that is judged and of the one that it would displace, what a filter can name of
a version, and ``files``."""


def begun_subject(model: str, creator: str, record: Record) -> Document:
    """What is known of a version when its upload begins."""
    said = _recorded(record)
    # An empty one may be a description that is still to come.
    return {"model": model, "creator": creator, **said, "description": record.description or None}


def subject(version: Version, files: Callable[[], Sequence[FileSummary]] | None) -> Document:
    """A whole version; ``files`` reads its files, where they are asked for."""
    assert version.record is not None, "the caller read the whole version"
    named: dict[str, Any] = {
        "model": version.model,
        "version": float(version.version),
        "ref": version.ref,
        "stage": str(version.stage),
        "aliases": dict.fromkeys(version.aliases, True),
        "creator": version.creator,
        "created_time": version.created_time,
        "manifest_digest": format_digest(version.manifest),
        "files_total": version.files_total,
        "bytes_total": version.bytes_total,
        "chunks_total": version.chunks_total,
        "metrics": {
            metric.name: {
                "latest": metric.latest,
                "min": metric.min,
                "max": metric.max,
                "step": metric.step,
                "points": metric.points,
            }
            for metric in version.metrics or ()
        },
        **_recorded(version.record),
    }
    if files is not None:
        named["files"] = [
            {"path": file.path, "size_bytes": file.size_bytes, "root_digest": format_digest(file.root)}
            for file in files()
        ]
    return named


def _recorded(record: Record) -> dict[str, Any]:
    """What was not recorded is missing: an empty text too, but for those of lists and the description."""
    named: dict[str, Any] = {
        "description": record.description,
        "tags": dict(record.tags),
        "params": dict(record.params),
        "datasets": [
            {"name": one.name, "version": one.version, "digest": one.digest, "uri": one.uri, "role": one.role}
            for one in record.datasets
        ],
        "parents": [_parent(one.ref, str(one.relation)) for one in record.parents],
    }
    if record.source is not None:
        named["source"] = {**_texts(record.source, SOURCE_TEXTS), "dirty": record.source.dirty}
    if record.environment is not None:
        named["environment"] = {
            **_texts(record.environment, ENVIRONMENT_TEXTS),
            "cpu_count": record.environment.cpu_count or None,
            "packages": dict(record.environment.packages),
        }
    if record.energy is not None:
        energy = record.energy
        numbers = {"kwh": energy.kwh, "gco2e": energy.gco2e}
        named["energy"] = {**numbers, **_texts(energy, ("region", "method"))}
    return named


def _texts(part: object, names: Sequence[str]) -> dict[str, str]:
    return {name: getattr(part, name) for name in names if getattr(part, name)}


def _parent(ref: str, relation: str) -> dict[str, Any]:
    parsed = parse_ref(ref)
    return {"ref": ref, "model": parsed.model, "version": float(parsed.version or 0), "relation": relation}
