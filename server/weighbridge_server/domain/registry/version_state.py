"""What the journal says of a version."""

from __future__ import annotations

from typing import Any

from weighbridge.core.digest import format_digest
from weighbridge.core.values import Record, Version
from weighbridge_server.domain.canonical import json_digest
from weighbridge_server.domain.registry.record_text import record_text


def version_state(version: Version) -> dict[str, Any]:
    """What the journal says of a version, which comes with its record."""
    assert version.record is not None, "the caller read the whole version"
    state: dict[str, Any] = {
        "version": version.version,
        "manifest_digest": format_digest(version.manifest),
        "record_digest": record_digest(version.record),
        "stage": str(version.stage),
    }
    if version.deletion is not None:
        state["deletion"] = {"actor": version.deletion.actor, "reason": version.deletion.reason}
    if version.purged_time is not None:
        state["purged"] = True
    return state


def record_digest(record: Record) -> str:
    """As the event of the commit has it (SPEC.md, section 13)."""
    return format_digest(json_digest({"record": record_text(record)}))
