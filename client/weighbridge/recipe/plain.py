"""Text of a record, made fit for a line of a script or of Markdown. Whoever pushed chose it."""

from __future__ import annotations

import re


def one_line(text: str) -> str:
    r"""The text with what is not printed as escapes, such as ``\n``: a comment stays a comment."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def code(text: str) -> str:
    """An inline piece of code in Markdown, which nothing in the text ends."""
    line = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}" if line else ""


def listed(items: list[str], most: int) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
