"""Models with some versions, whose aliases and stages tests move, and what the journal says of each move."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import weighbridge as wb

TAGS: dict[str, wb.Scalar] = {
    "data_sensitivity": "none",
    "cost_per_inference": 0.0,
    "dataset_version": "1",
    "hardware_target": "cpu",
}
TO_PRODUCTION = (wb.Stage.STAGING, wb.Stage.PRODUCTION)


def pushed(client: wb.Client, model: str, count: int, folder: Path) -> str:
    """Pushes so many small versions; returns the model's name."""
    for number in range(1, count + 1):
        weights = folder / "weights.bin"
        weights.write_text(f"{model} {number}")
        client.push(model, weights, tags=TAGS, capture=False)
    return model


def to_production(client: wb.Client, model: str, *numbers: int) -> None:
    """Has each of these versions, which are in development, enter production in turn."""
    for number in numbers:
        for stage in TO_PRODUCTION:
            client.promote(f"{model}:{number}", stage)


def stages_of(client: wb.Client, model: str) -> dict[int, str]:
    """The stage of each version, which is held against the pointers."""
    versions = list(client.versions(model))
    pointers = {alias.alias: alias.version for alias in client.aliases(model)}
    stages = {version.version: str(version.stage) for version in versions}
    held = {stage: number for number, stage in stages.items() if stage in TO_PRODUCTION}
    assert held == {alias: number for alias, number in pointers.items() if alias in TO_PRODUCTION}
    assert len(held) == sum(stage in TO_PRODUCTION for stage in stages.values()), "two versions hold one stage"
    for version in versions:
        assert list(version.aliases) == sorted(name for name, number in pointers.items() if number == version.version)
    return stages


def events_of(client: wb.Client, *resources: str) -> list[tuple[str, str, Any, Any]]:
    """Action, resource, before and after of each event of exactly these, in order."""
    model = resources[0].partition("@")[0].partition(":")[0]
    return [
        (event.action, event.resource, json.loads(event.before or "null"), json.loads(event.after))
        for event in client.events(model=model)
        if event.resource in resources
    ]


def where(client: wb.Client, model: str, number: int) -> Mapping[str, Any]:
    """What the journal says of where a pointer points."""
    version = client.version(f"{model}:{number}")
    return {"version": number, "ref": version.ref, "manifest_digest": f"b3:{version.manifest.hex()}"}


def numbers_of(moves: Sequence[wb.AliasMove]) -> list[int | None]:
    """Where each move led."""
    return [int(move.ref.rpartition(":")[2]) if move.ref else None for move in moves]
