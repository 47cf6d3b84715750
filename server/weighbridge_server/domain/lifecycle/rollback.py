"""Rollback: a pointer goes back to a version that held it before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from weighbridge.core.alias_check import STAGE_ALIASES, check_rollback
from weighbridge.core.errors import Violation, WrongState
from weighbridge.core.refs import Ref, alias_ref, parse_ref, version_ref
from weighbridge.core.values import Alias, AliasMove, Stage, Version
from weighbridge_server.domain.lifecycle.pointers import alias_of, check_revision, made_move, move_of, point
from weighbridge_server.domain.lifecycle.stages import Move, enter, incumbent_of
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import existing_model
from weighbridge_server.domain.registry.versions import alias_not_found
from weighbridge_server.domain.requests import once
from weighbridge_server.domain.times import utc_text

ROLLED_BACK = "alias.rolled-back"
_AT_ONCE = 20
"""Moves that are read at a time: what is looked for is most often among the newest."""
_MOST_NAMED = 10
"""How many versions or files an error lists."""


class Rollbacks:
    """Rollbacks of aliases and stages. Each locks the model's row first, as changes of a model do (see ``Models``)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def roll_back(
        self, actor: str, request_id: str, model: str, alias: str, to: int | None, reason: str, expected: int | None
    ) -> Alias:
        """Gives an alias back to the version ``to``, or to the last holder that was not itself rolled back from.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, AliasNotFound, WrongState,
            RevisionConflict, RequestIdReused.
        """
        check_rollback(model, alias, reason, to, expected)
        payload = {
            "call": "Rollback",
            "model": model,
            "alias": alias,
            "to": str(to),
            "reason": reason,
            "expected": str(expected),
        }
        with self._catalog.transaction(actor) as tx:
            found = once(tx, request_id, payload, lambda: _roll_back(tx, model, alias, to, reason, expected))
        return alias_of(made_move(self._catalog, alias_ref(model, alias), int(found)))


def last_holder(moves: Iterable[AliasMove], present: str) -> str | None:
    """Where a rollback goes: the reference of a version, or None where there is none left.

    Of the versions that held the alias before, but for the ``present`` one (empty: it points nowhere), it is the one
    that left it last, among those whose last leaving was not a rollback. So a version that was rolled back from is
    passed over until it is put there again, by a promotion, a setting or a rollback to it; and each rollback goes
    further back than the one before.

    Args:
        moves: of the alias, the newest first.
        present: the version that it points at.
    """
    seen = {"", present}
    for move in moves:
        if move.previous_ref in seen:
            continue
        if move.action != ROLLED_BACK:
            return move.previous_ref
        seen.add(move.previous_ref)
    return None


def _roll_back(tx: Transaction, model: str, alias: str, to: int | None, reason: str, expected: int | None) -> str:
    existing_model(tx, model, lock=True)
    check_revision(tx, model, alias, expected)
    moves = _moves(tx, model, alias)
    last = next(moves, None)
    if last is None:
        raise alias_not_found(tx, Ref(model, alias=alias))
    wanted = "" if to is None else version_ref(model, to)
    ref = _target(chain([last], moves), last.ref, wanted)
    if ref is None:
        raise _no_target(tx, model, alias, last.ref, wanted)
    version = _restorable(tx, alias, ref)
    said = {"rolled_back_from": last.ref} if last.ref else {}
    if alias in STAGE_ALIASES:
        stage = Stage(alias)
        enter(tx, Move(version, stage, incumbent_of(tx, model, stage)), ROLLED_BACK, reason, **said)
    else:
        point(tx, alias, version, ROLLED_BACK, reason, **said)
        tx.approvals.finish(model, version.version, alias)
    return str(last.revision)


def _target(moves: Iterable[AliasMove], present: str, wanted: str) -> str | None:
    """Where the rollback goes: to ``wanted`` (empty: the last holder), if it may."""
    if not wanted:
        return last_holder(moves, present)
    return wanted if wanted != present and any(move.ref == wanted for move in moves) else None


def _no_target(tx: Transaction, model: str, alias: str, present: str, wanted: str) -> WrongState:
    """Says why, and whom it may be rolled back to by name: a person has to choose."""
    held = dict.fromkeys(move.ref for move in _moves(tx, model, alias) if move.ref not in {"", present})
    named = ", ".join(islice(held, _MOST_NAMED)) + (", …" if len(held) > _MOST_NAMED else "")
    choice = f"; it goes back to one that is named: {named}" if held else ""
    if not wanted:
        before = f" before {present}" if present else ""
        what = f"all that held it{before} were rolled back from{choice}" if held else f"no version held it{before}"
    else:
        what = f"it points at {wanted} already" if wanted == present else f"{wanted} never held it{choice}"
    return _refused(alias_ref(model, alias), what)


def _restorable(tx: Transaction, alias: str, ref: str) -> Version:
    """The version, with everything that keeps it from being restored listed."""
    wanted = parse_ref(ref)
    version = tx.versions.get(wanted.model, wanted.version or 0, whole=True)
    assert version is not None, "what held an alias was committed, and its row stays"
    violations = []
    if version.deletion is not None:
        back = "its files are gone for good" if version.purged_time else f"'weighbridge version restore {ref}' is first"
        what = f"was deleted at {utc_text(version.deletion.time)} by {version.deletion.actor}; {back}"
        violations.append(Violation(ref, what))
    for path in tx.versions.damaged(version.model, version.version, _MOST_NAMED):
        violations.append(Violation(path, "has damaged chunks; push the file again to heal it"))
    if alias == Stage.STAGING and version.stage == Stage.PRODUCTION:
        violations.append(Violation(ref, "is in production, and a rollback of staging takes nothing out of it"))
    if violations:
        raise _refused(
            alias_ref(version.model, alias),
            f"{ref} held it before and cannot hold it now; mend what is listed, or roll back to another version",
            violations,
        )
    return version


def _moves(tx: Transaction, model: str, alias: str) -> Iterator[AliasMove]:
    """The newest first, read as far as they are asked for."""
    before: int | None = None
    while events := tx.events.of(alias_ref(model, alias), before, _AT_ONCE):
        yield from map(move_of, events)
        before = events[-1].revision


def _refused(resource: str, what: str, violations: list[Violation] | None = None) -> WrongState:
    return WrongState(
        f"{resource} cannot be rolled back: {what}", violations=violations or [], details={"resource": resource}
    )
