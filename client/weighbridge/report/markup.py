"""HTML and SVG as text that cannot be broken out of: what is not markup already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

Attribute = str | int | float | None

_UNFIT = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_UNFIT |= {0x7F: "␡"} | dict.fromkeys(range(0x80, 0xA0), "�") | dict.fromkeys(range(0xD800, 0xE000), "�")
_UNFIT |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "�")
"""Control characters, halves of surrogate pairs, and what turns the direction of writing for the text behind it."""

_VOID = frozenset({"meta", "line", "path", "circle"})


class Markup(str):
    """Text that is HTML, and is not escaped again."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Text as HTML, fit for elements and for attributes in double quotes."""
    return text if isinstance(text, Markup) else Markup(html.escape(text.translate(_UNFIT)))


def joined(parts: Iterable[str]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(map(escaped, parts)))


def element(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """``<name …>children</name>``; underscores in names of attributes are hyphens, at their end nothing.

    An attribute that is None is left out. Names are the program's own and never come from outside.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{told}/>")
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")
