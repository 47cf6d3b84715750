"""What is wrong with an expression, shown under the place in its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rich.cells import cell_len
from rich.text import Text

from weighbridge.cli.render import console, print_error
from weighbridge.cli.text import one_line, visible
from weighbridge.core.errors import InvalidExpression

_BEFORE, _SHOWN = 50, 100
"""Of a long line, so many characters before the place, and so many in all."""
_PLACE = re.compile(r"([1-9][0-9]{0,8}):([1-9][0-9]{0,8})")


def print_expression_error(error: InvalidExpression, texts: Mapping[str, str]) -> None:
    """The error on standard error; each violation with its line, and a mark under its column.

    ``texts``: the expressions by the names of their fields, in the order of the request's.
    """
    out = console(stderr=True)
    fields = [field for field in texts for _ in range(_count(error, field))]
    placed = list(zip(error.violations, fields, strict=False))
    if len(placed) < len(error.violations):  # a server that says less than ours
        print_error(error, as_json=False)
        return
    line = Text.assemble(("error: ", "bold red"), (f"{visible(error.reason)}: ", "bold"), one_line(error.message))
    out.print(line, soft_wrap=True)
    for violation, field in placed:
        if len(placed) > 1:  # else the first line has said it
            place = (f"{field} {visible(violation.path)}", "cyan")
            out.print(Text.assemble("  ", place, ": ", one_line(violation.message)), soft_wrap=True)
        for shown in _marked(texts[field], violation.path):
            out.print(Text(f"    {shown}"), soft_wrap=True)
    left_out = error.details.get("violations_left_out")
    if left_out:
        out.print(f"  … and {visible(left_out)} more", soft_wrap=True)


def _count(error: InvalidExpression, field: str) -> int:
    said = error.details.get(field, "")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 6 else 0


def _marked(text: str, path: str) -> Iterator[str]:
    match = _PLACE.fullmatch(path)
    lines = text.split("\n")
    if match is None or int(match[1]) > len(lines):
        return
    line, column = lines[int(match[1]) - 1], int(match[2])
    begin = max(0, column - 1 - _BEFORE)
    before = visible(line[begin : column - 1])
    lead = "…" if begin else ""
    tail = "…" if len(line) > begin + _SHOWN else ""
    yield f"{lead}{before}{visible(line[column - 1 : begin + _SHOWN])}{tail}"
    yield f"{' ' * cell_len(lead + before)}^"
