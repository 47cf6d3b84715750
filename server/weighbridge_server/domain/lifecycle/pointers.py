"""Pointers: what moves an alias or the pointer of a stage, and what the journal says of it.

A pointer is a row that says which version it points at. Everything else of it (its revision, who moved it, why, and
where it pointed at any time) is read from its events, those of the resource ``name@alias``: their ``before`` and
``after`` have ``version``, ``ref`` and ``manifest_digest``, and ``after`` the ``reason``. Where it points nowhere,
there is none of the three. The row and the event change in one transaction, under the lock on the model's row.
"""

from __future__ import annotations

import json
from typing import Any

from weighbridge.core.digest import format_digest, parse_digest
from weighbridge.core.errors import RevisionConflict
from weighbridge.core.refs import alias_ref
from weighbridge.core.values import Alias, AliasMove, Event, Version
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.ports import Catalog, Transaction

_WHERE = ("version", "ref", "manifest_digest")
"""What a state says of where a pointer points."""


def check_revision(tx: Transaction, model: str, alias: str, expected: int | None) -> None:
    """Lets nobody move a pointer who has not seen where it points. The caller locked the model.

    Raises:
        RevisionConflict: its revision is another; 0 stands for a pointer that points nowhere.
    """
    if expected is None:
        return
    move = tx.aliases.move(model, alias)
    revision = 0 if move is None else move.revision
    if revision == expected:
        return
    name = alias_ref(model, alias)
    ref = "" if move is None else move_of(move).ref
    wanted = f"revision {expected} was expected" if expected else "it was expected to point nowhere"
    stands = f"points at {ref} since revision {revision}" if ref else "points nowhere (revision 0)"
    raise RevisionConflict(
        f"{name} {stands}, and {wanted}: somebody moved it first. Look again and decide anew",
        details={"resource": name, "revision": str(revision), "value": ref},
    )


def point(tx: Transaction, alias: str, version: Version, action: str, reason: str, **said: Any) -> None:
    """Points a pointer at a version; ``said`` goes into the event too."""
    before = _present(tx, version.model, alias)
    tx.aliases.point(version.model, alias, version.version)
    after = {
        "version": version.version,
        "ref": version.ref,
        "manifest_digest": format_digest(version.manifest),
        "reason": reason,
        **said,
    }
    tx.record(Change(action, alias_ref(version.model, alias), before, canonical_json(after)))


def unpoint(tx: Transaction, model: str, alias: str, action: str, reason: str) -> None:
    """Makes a pointer that there is point nowhere."""
    before = _present(tx, model, alias)
    tx.aliases.remove(model, alias)
    tx.record(Change(action, alias_ref(model, alias), before, canonical_json({"reason": reason})))


def last_revision(tx: Transaction, resource: str) -> int:
    """Of the newest event of exactly this resource, whatever it is; 0 when there is none."""
    return max((event.revision for event in tx.events.of(resource, None, 1)), default=0)


def made_move(catalog: Catalog, resource: str, after: int) -> Event:
    """The event with which a call that has committed moved something whose revision was ``after`` until then.

    Revisions are given out at the end of a transaction, so the call itself does not know its own. The model's lock
    has the moves of one pointer follow each other: it is the first behind the one that the call found, whoever came
    after it, and a second try of the call finds the same.
    """
    with catalog.transaction() as tx:
        return tx.events.next_of(resource, after)


def alias_of(event: Event) -> Alias:
    """What a pointer is by the event that made it point where it does."""
    model, _, alias = event.resource.partition("@")
    after = json.loads(event.after)
    return Alias(
        model=model,
        alias=alias,
        version=after["version"],
        ref=after["ref"],
        manifest=parse_digest(after["manifest_digest"]),
        revision=event.revision,
        moved_time=event.time,
        actor=event.actor,
        reason=after["reason"],
        previous_ref=_state(event.before).get("ref", ""),
    )


def move_of(event: Event) -> AliasMove:
    """An event of a pointer as a move."""
    before, after = _state(event.before), _state(event.after)
    return AliasMove(
        revision=event.revision,
        time=event.time,
        actor=event.actor,
        action=event.action,
        ref=after.get("ref", ""),
        previous_ref=before.get("ref", ""),
        reason=after.get("reason", ""),
    )


def _present(tx: Transaction, model: str, alias: str) -> str:
    """Where a pointer points, as a state of the journal; empty: nowhere."""
    # A version that goes through several stages at once moves a pointer twice before either is an event.
    change: Change | Event | None = tx.recorded(alias_ref(model, alias)) or tx.aliases.move(model, alias)
    after = _state("" if change is None else change.after)
    where = {name: after[name] for name in _WHERE if name in after}
    return canonical_json(where) if where else ""


def _state(text: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(text) if text else {}
    return state
