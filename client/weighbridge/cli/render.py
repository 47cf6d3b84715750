"""What people see: tables, facts and errors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from weighbridge.cli.documents import error_document, print_json
from weighbridge.cli.text import clip, one_line, visible
from weighbridge.core.errors import WeighbridgeError

_WIDE = 10_000
"""Where nobody looks on, no line is cut or wrapped: another program reads it."""
_GAP = 2
_CLIPPED_LEAST = 12
"""Below so many columns a text says too little to be shown."""


def console(*, stderr: bool = False) -> Console:
    """A console for standard output or standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDE, highlight=False, emoji=False, markup=False)


def print_error(error: WeighbridgeError, *, as_json: bool) -> None:
    """``error: REASON: message`` with its violations under it, or one JSON document."""
    if as_json:
        print_json(error_document(error))
        return
    out = console(stderr=True)
    line = Text.assemble(("error: ", "bold red"), (f"{visible(error.reason)}: ", "bold"), one_line(error.message))
    out.print(line, soft_wrap=True)
    for violation in error.violations:
        path, message = visible(violation.path), one_line(violation.message)
        out.print(Text.assemble("  ", (path, "cyan"), ": ", message), soft_wrap=True)
    left_out = error.details.get("violations_left_out")
    if left_out:
        out.print(f"  … and {visible(left_out)} more", soft_wrap=True)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[str] = (),
    clipped: Sequence[str] = (),
    under: str = "",
    styles: Mapping[str, str] | None = None,
) -> None:
    """A table, one line a row; the columns named in ``right`` are aligned to the right.

    ``styles``: of cells with exactly such a text, a style of rich.

    On a terminal that is too narrow, the column named ``under`` gets a line of its own below each row, and what still
    does not fit is left out: first the ends of the texts in the ``clipped`` columns, then whole columns, the last
    first. The first is always whole: it is what a person copies.
    """
    out = console()
    cells = [list(columns), *([visible(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[place]) for row in cells) for place in range(len(columns))]
    shown = list(range(len(columns)))
    below = None
    if under and _too_wide(widths, out.width) > 0:
        below = columns.index(under)
        shown.remove(below)
    _fit(columns, shown, widths, clipped, out.width)
    for number, row in enumerate(cells):
        line = Text(style="bold" if number == 0 else "")
        for place in shown:
            cell = clip(row[place], widths[place])
            padding = " " * (widths[place] - cell_len(cell))
            styled = (cell, (styles or {}).get(cell, ""))
            line.append_tokens([(padding, None), styled] if columns[place] in right else [styled, (padding, None)])
            line.append(" " * _GAP)
        line.rstrip()
        out.print(line, soft_wrap=True)
        if below is not None and row[below]:
            out.print(Text(f"  {row[below]}", style="bold" if number == 0 else ""), soft_wrap=True)


def _fit(columns: Sequence[str], shown: list[int], widths: list[int], clipped: Sequence[str], room: int) -> None:
    """Leaves in ``shown`` the places of the columns that fit; narrows ``widths`` where that makes one fit."""
    while len(shown) > 1:
        too_wide = _too_wide([widths[place] for place in shown], room)
        if too_wide <= 0:
            break
        last = shown[-1]
        if columns[last] in clipped and widths[last] - too_wide >= _CLIPPED_LEAST:
            widths[last] -= too_wide
            break
        shown.pop()


def _too_wide(widths: Sequence[int], room: int) -> int:
    return sum(widths) + _GAP * (len(widths) - 1) - room


def print_markdown(text: str) -> None:
    """Markdown, laid out on a terminal; as it was written where another program reads it.

    Addresses of links are shown, not made into links: what they say and where they lead is not ours.
    """
    lines = [visible(line.expandtabs(4)) for line in text.splitlines()]
    out = console()
    if not out.is_terminal:
        for line in lines:
            out.print(Text(line), soft_wrap=True)
        return
    from rich.markdown import Markdown  # takes a while to load

    out.print(Markdown("\n".join(lines), hyperlinks=False))


def print_facts(title: str, facts: Sequence[tuple[str, str]]) -> None:
    """A title, and lines of name and value under it; the line breaks of a value are kept, and indented."""
    out = console()
    out.print(Text(visible(title), style="bold"), soft_wrap=True)
    shown = [(visible(name), value) for name, value in facts]
    width = max((cell_len(name) for name, _ in shown), default=0)
    for name, value in shown:
        indented = f"\n{' ' * (width + 4)}".join(visible(line) for line in value.splitlines() or [""])
        out.print(Text.assemble("  ", (set_cell_size(name, width), "cyan"), "  ", indented), soft_wrap=True)
