"""Texts in quotes: what their escapes stand for."""

from __future__ import annotations

import re

from weighbridge_server.domain.expressions.mistakes import Mistake, Mistaken, Place

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_PLAIN = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    **{sign: sign for sign in "\\?\"'`"},
}


def unquoted(token: str, place: Place) -> str:
    """The text that a token stands for: in single, double or three quotes, and raw behind an ``r``.

    Raises:
        Mistaken: an escape that CEL does not have, or one for what a text cannot hold.
    """
    raw = token[0] in "rR"
    body = token[raw:]
    width = 3 if body[:3] in ('"""', "'''") and len(body) >= 6 else 1
    body = body[width:-width]
    text = body if raw else _ESCAPE.sub(lambda found: _meant(found, body, _within(place, width)), body)
    if "\0" in text:
        raise Mistaken(Mistake(place, "a text cannot hold a NUL character"))
    return text


def _meant(found: re.Match[str], body: str, place: Place) -> str:
    if found[5] is not None:
        if found[5] not in _PLAIN:
            raise Mistaken(
                Mistake(_at(found, body, place), f"\\{found[5]} is no escape; a backslash itself is written \\\\")
            )
        return _PLAIN[found[5]]
    code = int(found[4], 8) if found[4] else int(found[1] or found[2] or found[3], 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise Mistaken(Mistake(_at(found, body, place), f"{found[0]} is no character"))
    return chr(code)


def _within(place: Place, width: int) -> Place:
    return Place(place.line, place.column + width)


def _at(found: re.Match[str], body: str, place: Place) -> Place:
    lines = body[: found.start()].split("\n")
    if len(lines) == 1:
        return Place(place.line, place.column + found.start())
    return Place(place.line + len(lines) - 1, len(lines[-1]) + 1)
