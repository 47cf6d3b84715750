"""For programs: one JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import Line, Section, Table


def show(facts: Mapping[str, str | int], sections: Sequence[Section]) -> None:
    """Prints it to standard output."""
    print(
        json.dumps(
            {
                "machine": facts,
                "lines": [_line(section.name, line) for section in sections for line in section.lines],
                "sections": [_section(section) for section in sections],
            },
            ensure_ascii=False,
            indent=2,
        )
    )


def _line(section: str, line: Line) -> dict[str, Any]:
    """``bound`` and ``ok`` are null where nothing must hold; ``ok`` is null too where it was not measured."""
    return {
        "section": section,
        "name": line.name,
        "value": line.value,
        "unit": line.unit,
        "bound": None if line.bound is None else {line.bound.sense: line.bound.limit},
        "ok": line.ok,
        "note": line.note,
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "name": section.name,
        "tables": [_table(table) for table in section.tables],
        "notes": section.notes,
        "error": section.error,
    }


def _table(table: Table) -> dict[str, Any]:
    return {"title": table.title, "columns": list(table.columns), "rows": [list(row) for row in table.rows]}
