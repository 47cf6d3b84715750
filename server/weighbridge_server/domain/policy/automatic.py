"""What moves by itself: a version that fulfils an automatic policy enters.

Judged whenever what is judged changes: at the commit, when tags or metrics change, and when it is approved.
"""

from __future__ import annotations

from weighbridge.core.alias_check import STAGE_ALIASES
from weighbridge.core.policies import Verdict
from weighbridge.core.promotion import DISPLACED
from weighbridge.core.refs import Ref, parse_ref, prefixes_of
from weighbridge.core.values import Stage, Version
from weighbridge_server.domain.lifecycle.aliases import judged_alias, set_alias
from weighbridge_server.domain.lifecycle.stages import MOVES, enter, judged_move
from weighbridge_server.domain.policy.gate import ask_for_approval
from weighbridge_server.domain.ports import Transaction
from weighbridge_server.domain.registry.versions import find_version

_REASON = "fulfils the policy"


def promote_automatically(tx: Transaction, version: Version) -> Version:
    """Lets a whole version into each stage and alias whose automatic policy it fulfils, and returns it as it is then.

    One that held the target before does not come back by itself: somebody had a reason to replace it. Where approvals
    are all that lacks, they are asked for. The caller locked the model and the policies.
    """
    automatic = {
        policy.target for policy in tx.policies.governing(prefixes_of(version.model)) if policy.terms.automatic
    }
    ref = parse_ref(version.ref)
    while stage := next((stage for stage in MOVES[version.stage] if stage in automatic and stage in DISPLACED), None):
        move = judged_move(tx, ref, stage)
        if not _enters(tx, version, stage, move.verdict):
            break
        enter(tx, move, "alias.promoted", _REASON, automatic=True)
        version = find_version(tx, ref, whole=True)
    moved = [_set(tx, ref, alias) for alias in sorted(automatic.difference(STAGE_ALIASES, Stage))]
    return find_version(tx, ref, whole=True) if any(moved) else version


def _set(tx: Transaction, ref: Ref, alias: str) -> bool:
    version, verdict = judged_alias(tx, ref, alias)
    enters = _enters(tx, version, alias, verdict)
    if enters:
        set_alias(tx, version, alias, verdict, _REASON)
    return enters


def _enters(tx: Transaction, version: Version, target: str, verdict: Verdict | None) -> bool:
    if verdict is None or not verdict.rules_passed:
        return False
    if tx.aliases.first_move(version.model, target, version.version) is not None:
        return False
    # Not in the name of who approved the last stage, and may have to approve this one.
    ask_for_approval(tx, version, verdict, _REASON, requester=version.creator)
    return verdict.passed
