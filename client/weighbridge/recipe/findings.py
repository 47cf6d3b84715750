"""What a check of an environment found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EnvironmentDifference:
    """Something that is here and was not there, the other way round, or not the same."""

    what: str
    """Such as ``python``, ``commit`` or ``package torch``."""
    recorded: str
    """What the record has; empty where there was none."""
    present: str
    """What there is here; empty where there is none."""
    fix: str
    """What makes it the same: a command where there is one."""


@dataclass(frozen=True)
class EnvironmentCheck:
    """The present environment beside the recorded one. Made by ``Client.check_environment``."""

    ref: str
    """``name:number``."""
    differences: Sequence[EnvironmentDifference]
    notes: Sequence[str]
    """What could not be compared, and what differs and hardly matters, a sentence each."""

    @property
    def same(self) -> bool:
        """Whether nothing differs of what was recorded."""
        return not self.differences


Finding = EnvironmentDifference | str
"""A difference, or the text of a note."""
