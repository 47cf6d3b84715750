"""Events of the journal, as those see them who watch a model."""

from __future__ import annotations

import json

from weighbridge.core.values import Event
from weighbridge.core.watching import Change


def model_of(resource: str) -> str:
    """The model that a resource of the journal is, or is under: ``name``, ``name:7``, ``name@alias``, ``name#…``."""
    for place, character in enumerate(resource):
        if character in ":@#":
            return resource[:place]
    return resource


def change_of(event: Event, *, present: bool = False) -> Change:
    """An event as watchers see it."""
    alias = event.resource.partition("@")[2]
    before, after = _state(event.before), _state(event.after)
    ref = after.get("ref", "") if alias else event.resource if ":" in event.resource.partition("#")[0] else ""
    return Change(
        present=present,
        revision=event.revision,
        time=event.time,
        actor=event.actor,
        action=event.action,
        resource=event.resource,
        alias=alias,
        ref=ref,
        manifest_digest=str(after.get("manifest_digest", "")),
        previous_ref=before.get("ref", "") if alias else "",
        reason=str(after.get("reason", "")),
    )


def _state(text: str) -> dict[str, str]:
    state = json.loads(text) if text else {}
    return state if isinstance(state, dict) else {}
