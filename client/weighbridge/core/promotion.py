"""What a promotion did, or would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weighbridge.core.policies import Verdict
from weighbridge.core.values import Stage, Version

DISPLACED: Mapping[Stage, Stage] = {Stage.STAGING: Stage.DEVELOPMENT, Stage.PRODUCTION: Stage.ARCHIVED}
"""The stages that one version holds, and where the holder goes when another enters."""


@dataclass(frozen=True)
class Promotion:
    """What a promotion did, or would do."""

    version: Version
    """In its stage."""
    displaced_ref: str
    """The version that it displaced: ``name:number``; empty: none."""
    displaced_stage: Stage | None
    """Where that one goes."""
    revision: int
    """Journal revision of the move: of staging and production the pointer's. 0 for a dry run."""
    verdict: Verdict | None = None
    """What the policy of the stage said; None: none governs it."""
