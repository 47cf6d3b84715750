"""What people and programs see: tables, numbers and JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from weighbridge.core.digest import format_digest
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.manifest import FileSummary
from weighbridge.core.values import Model, Version

_WIDE = 10_000
"""Where nobody looks on, no line is cut or wrapped: another program reads it."""


def console(*, stderr: bool = False) -> Console:
    """A console for standard output or standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDE, highlight=False, emoji=False)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(_plain(document), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinities: they become text, as in protobuf's JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def print_error(error: WeighbridgeError, *, as_json: bool) -> None:
    """``error: REASON: message`` with its violations under it, or one JSON document."""
    if as_json:
        violations = [{"path": item.path, "message": item.message} for item in error.violations]
        print_json(
            {
                "error": {
                    "code": str(error.code),
                    "reason": error.reason,
                    "message": error.message,
                    "violations": violations,
                    "details": error.details,
                }
            }
        )
        return
    out = console(stderr=True)
    line = Text.assemble(("error: ", "bold red"), (f"{error.reason}: ", "bold"), _one_line(error.message))
    out.print(line, soft_wrap=True)
    for violation in error.violations:
        out.print(Text.assemble("  ", (violation.path, "cyan"), ": ", _one_line(violation.message)), soft_wrap=True)
    left_out = error.details.get("violations_left_out")
    if left_out:
        out.print(f"  … and {left_out} more")


def _one_line(text: str) -> str:
    """What others said (a database, an operating system) may have line breaks; an error is one line."""
    return " ".join(text.split())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table; the columns named in ``right`` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def print_facts(title: str, facts: Sequence[tuple[str, str]]) -> None:
    """A title, and lines of name and value under it."""
    out = console()
    out.print(Text(title, style="bold"), soft_wrap=True)
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        out.print(Text.assemble("  ", (name.ljust(width), "cyan"), "  ", value), soft_wrap=True)


def size(size_bytes: float) -> str:
    """``91.2 MB``: powers of ten, as disks and networks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def moment(time: datetime) -> str:
    """A time for people, in their own zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(time: datetime) -> str:
    """A time for programs: RFC 3339 in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


# -- documents ---------------------------------------------------------------------------------


def model_document(model: Model) -> dict[str, Any]:
    """A model for programs."""
    return {
        "name": model.name,
        "owner": model.owner,
        "creator": model.creator,
        "description": model.description,
        "created_time": rfc3339(model.created_time),
        "latest_version": model.latest_version,
    }


def version_document(version: Version) -> dict[str, Any]:
    """A version in a list, for programs."""
    return {
        "model": version.model,
        "version": version.version,
        "ref": version.ref,
        "manifest_digest": format_digest(version.manifest),
        "stage": str(version.stage),
        "creator": version.creator,
        "created_time": rfc3339(version.created_time),
        "files_total": version.files_total,
        "bytes_total": version.bytes_total,
        "chunks_total": version.chunks_total,
    }


def record_document(version: Version, files: Iterable[FileSummary]) -> dict[str, Any]:
    """A version with its whole record, for programs."""
    record = version.record
    assert record is not None, "a version that was asked for by itself comes with its record"
    return {
        **version_document(version),
        "description": record.description,
        "params": dict(record.params),
        "tags": dict(record.tags),
        "metrics": {metric.name: metric.latest for metric in version.metrics or ()},
        "datasets": [vars(dataset) for dataset in record.datasets],
        "parents": [{"ref": parent.ref, "relation": str(parent.relation)} for parent in record.parents],
        "files": [
            {"path": file.path, "size_bytes": file.size_bytes, "root": format_digest(file.root)} for file in files
        ],
    }
