"""What runs where, and what runs that should not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from weighbridge.core.digest import Digest
from weighbridge.core.values import Stage

DEFAULT_ALIAS = "production"
DEFAULT_TTL_S = 60
DEFAULT_GRACE_S = 300


class ZombieReason(StrEnum):
    """Why a deployment should not be, the worst first."""

    UNREGISTERED = "unregistered"
    """No version has its digest."""
    DELETED = "deleted"
    ARCHIVED = "archived"
    BEHIND = "behind"
    """Its alias has pointed elsewhere for longer than the grace time."""
    SILENT = "silent"
    """It did not report within its time, and did not retire."""
    UNDOCUMENTED = "undocumented"
    """The version has no description or no metrics: a warning."""


@dataclass(frozen=True)
class Deployment:
    """A node that runs a model."""

    node: str
    model: str
    """Empty: what runs is not registered."""
    ref: str
    """``name:number``; empty: no version has this digest."""
    manifest: Digest
    alias: str
    """What it follows."""
    stage: Stage | None
    """Of what it runs; None: that is not registered."""
    actor: str
    since_time: datetime
    """When it began to run this."""
    reported_time: datetime
    ttl_s: int
    live: bool
    """It reported within its time."""


@dataclass(frozen=True)
class Zombie:
    """A deployment that should not be."""

    deployment: Deployment
    reasons: Sequence[ZombieReason]
    message: str
    """What is wrong, and what to do."""


@dataclass(frozen=True)
class Zombies:
    """What runs and should not, the worst first, and what runs and says nothing of itself."""

    zombies: Sequence[Zombie]
    undocumented: Sequence[Zombie]
    left_out: int = 0
    """How many of either the answer had no room for."""
