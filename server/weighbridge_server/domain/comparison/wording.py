"""A change as a person says it: ``lr 0.001 -> 0.01``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import takewhile

from weighbridge.core.comparison import FieldDifference
from weighbridge.core.values import Scalar

_VALUE_CHARS = 120
_BEFORE_CHARS = 30
"""Of what two long texts have in common, so much is told before they part."""


def change(name: str, before: Scalar | None, after: Scalar | None) -> str:
    """How one value became another; None is one that is not there."""
    if before is None:
        return f"{name} {_said(after)} added".replace("  ", " ")
    if after is None:
        return f"{name} removed, was {_said(before)}" if before != "" else f"{name} removed"
    return f"{name} {' -> '.join(_apart(before, after))}"


def changes(differences: Iterable[FieldDifference], prefix: str = "") -> list[str]:
    """Those of two versions that differ, each in words."""
    return [change(f"{prefix}{one.name}", *one.values) for one in differences if one.differs]


def at_most(items: list[str], most: int, more: str = "more") -> list[str]:
    """The first ``most`` items, and how many more there are."""
    left_out = len(items) - most
    # One item in place of one would say less and take as much room.
    return items if left_out <= 1 else [*items[:most], f"and {left_out} {more}"]


def cut(before: str, after: str, chars: int) -> tuple[str, str]:
    """The beginnings of two digests; where these are the same, the whole."""
    if before[:chars] == after[:chars]:
        return before, after
    return f"{before[:chars]}…", f"{after[:chars]}…"


def _apart(before: Scalar, after: Scalar) -> list[str]:
    """Two values that differ, so that they read differently.

    ``"32" -> 32``: text is in quotes where it could be taken for the other value. Long texts that begin alike are
    told from where they part.
    """
    texts = [_text(before), _text(after)]
    if " ".join(texts[0].split()) == " ".join(texts[1].split()):
        texts = [json.dumps(value, ensure_ascii=False) for value in (before, after)]
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False)))
    in_sight = max(map(len, texts)) <= _VALUE_CHARS or alike < _VALUE_CHARS
    return [_cut(text, 0 if in_sight else alike - _BEFORE_CHARS) for text in texts]


def _said(value: Scalar | None) -> str:
    return "" if value is None else _cut(_text(value), 0)


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cut(text: str, start: int) -> str:
    end = start + _VALUE_CHARS
    return f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}"
