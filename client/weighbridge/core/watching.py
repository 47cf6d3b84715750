"""What those see who watch an alias or a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Change:
    """How an alias stands, or something that happened."""

    present: bool
    """How it stood when the watch began; otherwise it happened since."""
    revision: int
    """The journal revision; a watch goes on behind it."""
    time: datetime
    actor: str
    action: str
    """Such as ``alias.promoted`` or ``version.committed``."""
    resource: str
    """What it happened to."""
    alias: str
    """The alias that moved; empty: none did."""
    ref: str
    """Where the alias points from then on, or the version that it happened to; empty: nowhere, none."""
    manifest_digest: str
    """``b3:<hex>`` of where the alias points."""
    previous_ref: str
    """Where the alias pointed before; empty: nowhere."""
    reason: str

    @property
    def version(self) -> int | None:
        """The number in ``ref``."""
        number = self.ref.rpartition(":")[2]
        return int(number) if number else None
