"""What programs see: JSON."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from weighbridge.cli.units import rfc3339
from weighbridge.cli.verdict_documents import verdict_document
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.manifest import FileSummary
from weighbridge.core.promotion import Promotion
from weighbridge.core.values import Alias, AliasMove, Deletion, MetricSummary, Model, Version
from weighbridge.pull import Pulled
from weighbridge.verify import Verified
from weighbridge.version import Pushed

_UNFIT = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Within JSON's strings: what JSON may leave as it is, but a terminal acts on or no encoding has."""


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on standard output."""
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(_plain(document), ensure_ascii=ascii_only, allow_nan=False)
    print(_UNFIT.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinities: they become text, as in protobuf's JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def error_document(error: WeighbridgeError) -> dict[str, Any]:
    """What went wrong."""
    return {
        "error": {
            "code": str(error.code),
            "reason": error.reason,
            "message": error.message,
            "violations": [{"path": item.path, "message": item.message} for item in error.violations],
            "details": error.details,
        }
    }


def model_document(model: Model) -> dict[str, Any]:
    """A model; its card is not in lists."""
    return {
        "name": model.name,
        "owner": model.owner,
        "team": model.team,
        "contact": model.contact,
        "creator": model.creator,
        "description": model.description,
        "created_time": rfc3339(model.created_time),
        "latest_version": model.latest_version,
        "deletion": None if model.deletion is None else _deletion_document(model.deletion),
        **({} if model.card is None else {"card": model.card}),
    }


def _deletion_document(deletion: Deletion) -> dict[str, Any]:
    return {"time": rfc3339(deletion.time), "actor": deletion.actor, "reason": deletion.reason}


def version_document(version: Version) -> dict[str, Any]:
    """A version in a list."""
    return {
        "model": version.model,
        "version": version.version,
        "ref": version.ref,
        "manifest_digest": format_digest(version.manifest),
        "stage": str(version.stage),
        "aliases": list(version.aliases),
        "creator": version.creator,
        "created_time": rfc3339(version.created_time),
        "files_total": version.files_total,
        "bytes_total": version.bytes_total,
        "chunks_total": version.chunks_total,
        "schema": None if version.schema is None else asdict(version.schema),
        "deletion": None if version.deletion is None else _deletion_document(version.deletion),
        "purged_time": None if version.purged_time is None else rfc3339(version.purged_time),
    }


def alias_document(alias: Alias) -> dict[str, Any]:
    """An alias, and its last move."""
    return {
        "model": alias.model,
        "alias": alias.alias,
        "version": alias.version,
        "ref": alias.ref,
        "manifest_digest": format_digest(alias.manifest),
        "revision": alias.revision,
        "moved_time": rfc3339(alias.moved_time),
        "actor": alias.actor,
        "reason": alias.reason,
        "previous_ref": alias.previous_ref,
    }


def alias_move_document(move: AliasMove) -> dict[str, Any]:
    """One move of an alias."""
    return {
        "revision": move.revision,
        "time": rfc3339(move.time),
        "actor": move.actor,
        "action": move.action,
        "ref": move.ref,
        "previous_ref": move.previous_ref,
        "reason": move.reason,
    }


def promotion_document(promotion: Promotion) -> dict[str, Any]:
    """What a promotion did, or would do."""
    version = promotion.version
    return {
        "model": version.model,
        "version": version.version,
        "ref": version.ref,
        "manifest_digest": format_digest(version.manifest),
        "stage": str(version.stage),
        "displaced_ref": promotion.displaced_ref,
        "displaced_stage": None if promotion.displaced_stage is None else str(promotion.displaced_stage),
        "revision": promotion.revision,
        "verdict": None if promotion.verdict is None else verdict_document(promotion.verdict),
    }


def record_document(version: Version, files: Iterable[FileSummary]) -> dict[str, Any]:
    """A version with its whole record."""
    record = version.record
    assert record is not None, "a version that was asked for by itself comes with its record"
    return {
        **version_document(version),
        "description": record.description,
        "params": dict(record.params),
        "tags": dict(record.tags),
        "metrics": {metric.name: metric.latest for metric in version.metrics or ()},
        "metric_summaries": {metric.name: summary_document(metric) for metric in version.metrics or ()},
        "datasets": [vars(dataset) for dataset in record.datasets],
        "parents": [{"ref": parent.ref, "relation": str(parent.relation)} for parent in record.parents],
        "source": None if record.source is None else asdict(record.source),
        "environment": None if record.environment is None else asdict(record.environment),
        "signature": None if record.signature is None else asdict(record.signature),
        "energy": None if record.energy is None else asdict(record.energy),
        "files": [
            {"path": file.path, "size_bytes": file.size_bytes, "root": format_digest(file.root)} for file in files
        ],
    }


def summary_document(metric: MetricSummary) -> dict[str, Any]:
    """A metric in short, under its name."""
    return {
        "latest": metric.latest,
        "step": metric.step,
        "min": metric.min,
        "max": metric.max,
        "points": metric.points,
    }


def pushed_document(pushed: Pushed) -> dict[str, Any]:
    """What a push made, and what that took."""
    version = pushed.version
    return {
        "model": version.model,
        "version": version.version,
        "ref": version.ref,
        "manifest_digest": format_digest(version.manifest),
        "bytes_total": pushed.bytes_total,
        "bytes_sent": pushed.bytes_sent,
        "chunks_total": pushed.chunks_total,
        "chunks_sent": pushed.chunks_sent,
        "seconds": round(pushed.seconds, 3),
    }


def pulled_document(pulled: Pulled) -> dict[str, Any]:
    """What was pulled, and what that took."""
    return {
        "ref": pulled.ref,
        "version": pulled.version,
        "manifest_digest": format_digest(pulled.manifest),
        "bytes_total": pulled.bytes_total,
        "bytes_received": pulled.bytes_received,
        "chunks_total": pulled.chunks_total,
        "chunks_received": pulled.chunks_received,
        "seconds": round(pulled.seconds, 3),
        "path": str(pulled.path),
    }


def verified_document(verified: Verified) -> dict[str, Any]:
    """What a folder was found to be."""
    return {
        "path": str(verified.path),
        "ref": verified.ref,
        "ok": verified.ok,
        "files_total": verified.files_total,
        "bytes_total": verified.bytes_total,
        "problems": [{"path": problem.path, "message": problem.message} for problem in verified.problems],
        "others": list(verified.others),
    }
