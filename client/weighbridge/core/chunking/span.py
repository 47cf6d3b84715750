"""A stretch of a file that becomes one chunk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """``size`` bytes from ``offset``."""

    offset: int
    size: int
