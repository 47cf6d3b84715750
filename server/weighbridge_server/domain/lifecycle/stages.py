"""Stages: which moves there are, and how a version makes one.

Staging and production hold one version each, which the alias of that name points at. ``version.stage`` and the alias
say the same at any time: ``enter`` is the only place that changes either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weighbridge.core.alias_check import check_promotion
from weighbridge.core.errors import ApprovalNeeded, WrongState
from weighbridge.core.policies import Verdict
from weighbridge.core.promotion import DISPLACED, Promotion
from weighbridge.core.refs import Ref, alias_ref, parse_ref, version_ref
from weighbridge.core.values import Stage, Version
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.lifecycle.pointers import (
    check_revision,
    last_revision,
    made_move,
    move_of,
    point,
    unpoint,
)
from weighbridge_server.domain.policy.evidence import evidence, verdict_of
from weighbridge_server.domain.policy.gate import admit, ask_for_approval, verdict_on
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import existing_model
from weighbridge_server.domain.registry.version_state import version_state
from weighbridge_server.domain.registry.versions import find_version
from weighbridge_server.domain.requests import once

MOVES: Mapping[Stage, Sequence[Stage]] = {
    Stage.DEVELOPMENT: (Stage.STAGING, Stage.ARCHIVED),
    Stage.STAGING: (Stage.PRODUCTION, Stage.DEVELOPMENT),
    Stage.PRODUCTION: (Stage.ARCHIVED,),
    Stage.ARCHIVED: (Stage.DEVELOPMENT,),
}
"""From each stage, where a promotion may go; ``lifecycle.proto`` says the same."""


@dataclass(frozen=True)
class Move:
    """A version on its way to a stage; both versions as they are before it."""

    version: Version
    stage: Stage
    incumbent: Version | None
    """The holder of the stage, where there is one."""
    verdict: Verdict | None = None
    """What the policy of the stage says; None where none governs it, or none was asked."""


class Stages:
    """Promotions. Each locks the model's row first, as changes of a model do (see ``Models``)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def promote(
        self, actor: str, request_id: str, ref: str, stage: Stage, reason: str, expected: int | None
    ) -> Promotion:
        """Moves a version to a stage, and whom it displaces out of it.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound, WrongState, RevisionConflict, RequestIdReused, PolicyRefused,
            ApprovalNeeded (after asking for them).
        """
        check_promotion(stage, reason, expected)
        wanted = parse_ref(ref)
        payload = {"call": "Promote", "ref": ref, "stage": str(stage), "reason": reason, "expected": str(expected)}
        try:
            with self._catalog.transaction(actor) as tx:
                made = once(tx, request_id, payload, lambda: _promote(tx, wanted, stage, reason, expected))
                number, found = map(int, made.split())
                version = find_version(tx, Ref(wanted.model, version=number), whole=True, deleted=True)
        except ApprovalNeeded:
            self._ask(actor, wanted, stage, reason)
            raise
        event = made_move(self._catalog, _moved(version.model, number, stage), found)
        displaced = move_of(event).previous_ref if stage in DISPLACED else ""
        said: Mapping[str, Any] = json.loads(event.after)
        verdict = verdict_of(version.ref, said["evidence"]) if "evidence" in said else None
        return Promotion(version, displaced, DISPLACED[stage] if displaced else None, event.revision, verdict)

    def _ask(self, actor: str, ref: Ref, stage: Stage, comment: str) -> None:
        """What was refused for want of approvals has them asked for, if that is still what lacks."""
        with self._catalog.transaction(actor) as tx:
            existing_model(tx, ref.model, lock=True)
            tx.policies.lock(shared=True)
            move = judged_move(tx, ref, stage)
            ask_for_approval(tx, move.version, move.verdict, comment)

    def would_promote(self, ref: str, stage: Stage, reason: str, expected: int | None) -> Promotion:
        """What ``promote`` would do now; changes nothing. Raises as it, but for what the verdict says."""
        check_promotion(stage, reason, expected)
        with self._catalog.snapshot() as tx:
            move = judged_move(tx, parse_ref(ref), stage, expected)
        displaced = "" if move.incumbent is None else move.incumbent.ref
        aliases = {alias for alias in move.version.aliases if alias != move.version.stage}
        if stage in DISPLACED:
            aliases.add(str(stage))
        version = replace(move.version, stage=stage, aliases=tuple(sorted(aliases)))
        return Promotion(version, displaced, DISPLACED[stage] if displaced else None, 0, move.verdict)


def enter(tx: Transaction, move: Move, action: str, reason: str, **said: Any) -> None:
    """Makes a move: whoever holds the stage leaves it, the version enters, and the pointers follow.

    Every version that moves and every pointer has its event, in this order; ``said`` and the evidence go into that of
    the stage's pointer, or where the stage has none, of the version. The caller locked the model and found nothing
    against the move.
    """
    version, stage = move.version, move.stage
    shown = said if move.verdict is None else {**said, "evidence": evidence(move.verdict)}
    if move.incumbent is not None:
        _change_stage(tx, move.incumbent, DISPLACED[stage], reason, displaced_by=version.ref)
    _change_stage(tx, version, stage, reason, **({} if stage in DISPLACED else shown))
    if version.stage in DISPLACED:
        unpoint(tx, version.model, version.stage, "alias.cleared", reason)
    if stage in DISPLACED:
        point(tx, stage, version, action, reason, **shown)
    tx.approvals.finish(version.model, version.version, stage)


def incumbent_of(tx: Transaction, model: str, stage: Stage) -> Version | None:
    """Who holds a stage that one version holds, with its whole record."""
    return tx.versions.held_by(model, stage, whole=True) if stage in DISPLACED else None


def _promote(tx: Transaction, ref: Ref, stage: Stage, reason: str, expected: int | None) -> str:
    existing_model(tx, ref.model, lock=True)
    tx.policies.lock(shared=True)
    move = judged_move(tx, ref, stage, expected)
    admit(move.verdict)
    found = last_revision(tx, _moved(ref.model, move.version.version, stage))
    enter(tx, move, "alias.promoted", reason)
    return f"{move.version.version} {found}"


def judged_move(tx: Transaction, ref: Ref, stage: Stage, expected: int | None = None) -> Move:
    """The move with its verdict, when nothing but the verdict is against it: a dry run is this and no more.

    Raises:
        ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound, RevisionConflict, WrongState.
    """
    version = find_version(tx, ref, whole=True)
    check_revision(tx, version.model, stage, expected)
    if stage not in MOVES[version.stage]:
        raise _not_allowed(version, stage)
    incumbent = incumbent_of(tx, version.model, stage)
    # What goes from staging back to development leaves nothing that it would have to be fit for.
    back = version.stage is Stage.STAGING and stage is Stage.DEVELOPMENT
    verdict = None if back else verdict_on(tx, version, stage, incumbent)
    return Move(version, stage, incumbent, verdict)


def _not_allowed(version: Version, stage: Stage) -> WrongState:
    allowed = MOVES[version.stage]
    already = "already" if stage == version.stage else f"and cannot go to {stage} from there"
    return WrongState(
        f"{version.ref} is in {version.stage} {already}; it may go to {' or '.join(allowed)}",
        details={"ref": version.ref, "stage": str(version.stage), "allowed": ", ".join(allowed)},
    )


def _change_stage(tx: Transaction, version: Version, stage: Stage, reason: str, **said: Any) -> None:
    tx.version_changes.stage(version.model, version.version, stage)
    before = version_state(version)
    after = {**before, "stage": str(stage), "reason": reason, **said}
    tx.record(Change("version.stage-changed", version.ref, canonical_json(before), canonical_json(after)))


def _moved(model: str, number: int, stage: Stage) -> str:
    """Whose event has the revision of a promotion: the pointer's where the stage has one, else the version's."""
    return alias_ref(model, stage) if stage in DISPLACED else version_ref(model, number)
