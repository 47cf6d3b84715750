"""For people: tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from benchmarks.report import Line, Section, Table

_WIDE = 140

_VERDICTS = {True: Text("ok", "green"), False: Text("NOT MET", "bold red"), None: Text("")}


def show(facts: Mapping[str, str | int], sections: Sequence[Section]) -> None:
    """Prints everything to standard output."""
    # Into a file or a pipe, tables are as wide as they need to be.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), markup=False, soft_wrap=True)
    for section in sections:
        console.print()
        console.rule(section.name)
        for table in section.tables:
            console.print(_table(table))
        if lines := [line for line in section.lines if not line.in_table]:
            console.print(_lines(lines))
        for note in section.notes:
            console.print(note, markup=False, soft_wrap=True)
        if section.error:
            console.print(f"[bold red]failed:[/] {escape(section.error)}", soft_wrap=True)


def _table(table: Table) -> RichTable:
    shown = RichTable(title=escape(table.title), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(table.columns):
        shown.add_column(escape(column), justify="left" if number == 0 else "right")
    for row in table.rows:
        shown.add_row(*(escape(cell) if isinstance(cell, str) else _number(cell) for cell in row))
    return shown


def _lines(lines: Sequence[Line]) -> RichTable:
    shown = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("figure", "value", "", "must be", ""):
        shown.add_column(column, justify="right" if column in ("value", "must be") else "left")
    for line in lines:
        value = "not measured" if line.value is None else _number(line.value)
        bound = "" if line.bound is None else str(line.bound)
        unit = f"{line.unit}  {line.note}".strip()
        shown.add_row(escape(line.name), value, escape(unit), bound, _VERDICTS[line.ok])
    return shown


def _number(value: float | None) -> str:
    """Four digits that count."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    decimals = sum(abs(value) < limit for limit in (1000, 100, 10, 1))
    return f"{value:.{decimals}f}"
