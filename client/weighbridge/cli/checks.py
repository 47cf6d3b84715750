"""What a check of ``doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, what was found, and what to do where it is wrong."""

    name: str
    ok: bool
    found: str
    advice: str = ""
