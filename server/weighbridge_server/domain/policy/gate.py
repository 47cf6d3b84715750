"""The gate that every move into a stage or onto a protected alias goes through.

It is asked in the transaction that makes the move, under the lock on the model's row; nobody sets a policy meanwhile.
Rollbacks go round it: they only restore what went through it before.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from weighbridge.core.errors import ApprovalNeeded, PolicyRefused, Violation
from weighbridge.core.policies import Policy, RuleOutcome, RuleVerdict, Verdict
from weighbridge.core.refs import prefixes_of
from weighbridge.core.values import Record, Stage, Version
from weighbridge_server.domain.policy.answers import ask, standing
from weighbridge_server.domain.policy.judge import judged, judged_at_begin
from weighbridge_server.domain.ports import Transaction

_MOST_SAID = 6
"""How many values a violation names."""


def governing(tx: Transaction, model: str, target: str) -> Policy | None:
    """The policy that governs a model, or prefix, for a target."""
    return next(iter(tx.policies.governing(prefixes_of(model), target)), None)


def verdict_on(tx: Transaction, candidate: Version, target: str, incumbent: Version | None) -> Verdict | None:
    """What the policy says of a move, approvals included; None where none governs it. Both versions are whole."""
    policy = governing(tx, candidate.model, target)
    if policy is None:
        return None
    verdict = judged(tx, policy, candidate, incumbent)
    if policy.terms.approvals is None:
        return verdict
    return replace(verdict, approvals=standing(tx, policy, candidate).verdict(policy.terms.approvals))


def admit(verdict: Verdict | None) -> None:
    """Lets a move pass that nothing is against.

    Raises:
        PolicyRefused: rules fail; all of them are listed.
        ApprovalNeeded: approvals are all that lacks.
    """
    require_rules(verdict)
    if verdict is not None and not verdict.passed:
        raise _approval_needed(verdict)


def require_rules(verdict: Verdict | None) -> None:
    """As ``admit``, approvals left aside. Raises: PolicyRefused."""
    if verdict is not None and not verdict.rules_passed:
        raise _refused(verdict.ref, verdict.target, verdict.policy_prefix, verdict.policy_revision, verdict.rules)


def ask_for_approval(
    tx: Transaction, candidate: Version, verdict: Verdict | None, comment: str, requester: str = ""
) -> None:
    """Asks for the approvals that are all that lacks, unless somebody did before; a rejection is not asked anew.

    ``requester``: in whose name; empty: who calls.
    """
    if verdict is None or verdict.passed or not verdict.rules_passed:
        return
    policy = governing(tx, candidate.model, verdict.target)
    assert policy is not None, "it gave the verdict, under its lock"
    if not standing(tx, policy, candidate).open:
        ask(tx, policy, candidate, comment, requester)


def check_begin(tx: Transaction, model: str, record: Record) -> None:
    """Refuses an upload whose commit the policy for development would refuse, whatever its training adds.

    Raises:
        PolicyRefused.
    """
    policy = governing(tx, model, Stage.DEVELOPMENT)
    if policy is None:
        return
    failing = judged_at_begin(tx, policy, model, tx.actor, record)
    if failing:
        raise _refused(f"what is recorded for {model}", policy.target, policy.prefix, policy.revision, failing)


def check_commit(tx: Transaction, version: Version) -> Verdict | None:
    """Judges a version, which the transaction has just added, by the policy for development.

    Raises:
        PolicyRefused: the transaction must not commit.
    """
    verdict = verdict_on(tx, version, Stage.DEVELOPMENT, None)
    if verdict is not None and not verdict.rules_passed:
        what = f"what is recorded for {version.model}"
        raise _refused(what, verdict.target, verdict.policy_prefix, verdict.policy_revision, verdict.rules)
    return verdict


def _refused(what: str, target: str, prefix: str, revision: int, rules: Sequence[RuleVerdict]) -> PolicyRefused:
    failing = [rule for rule in rules if not rule.ok]
    return PolicyRefused(
        f"{what} does not fulfil the policy of {prefix} for {target}, revision {revision}, "
        f"which 'weighbridge policy get {shlex.quote(prefix)} {target}' shows",
        violations=[Violation(rule.name, why(rule)) for rule in failing],
        details={"prefix": prefix, "target": target, "revision": str(revision)},
    )


def why(rule: RuleVerdict) -> str:
    """What is said of a rule that fails: its message, and what it saw."""
    seen = ", ".join(f"{one.name} is {one.json or 'missing'}" for one in rule.values[:_MOST_SAID])
    more = ", …" if len(rule.values) > _MOST_SAID else ""
    said = rule.message or f"{rule.cel} must hold"
    undecided = "it cannot be decided: " if rule.outcome is RuleOutcome.UNDECIDED else ""
    return f"{said} ({undecided}{seen}{more})" if seen else said


def move_command(ref: str, target: str) -> str:
    """The command that moves a version, ``name:number``, into a stage or onto an alias."""
    if target in tuple(Stage):
        return f"weighbridge promote {ref} {target}"
    model, _, number = ref.partition(":")
    return f"weighbridge alias set {model}@{target} {number}"


def ask_command(ref: str, target: str) -> str:
    """The command that asks for approvals although they were refused."""
    return f"weighbridge promote {ref} {target} --request"


def _approval_needed(verdict: Verdict) -> ApprovalNeeded:
    approvals = verdict.approvals
    assert approvals is not None, "rules passed and the whole did not"
    needed, given = approvals.needed, len(approvals.given)
    details = {"needed": str(needed.count), "given": str(given), "role": str(needed.role)}
    what = f"{verdict.ref} for {verdict.target}"
    if approvals.rejected is not None:
        who = approvals.rejected
        return ApprovalNeeded(
            f"{who.actor} rejected {what}: {who.comment!r}. Change what was objected to, or ask anew with "
            f"'{ask_command(verdict.ref, verdict.target)}'",
            details={**details, "rejected_by": who.actor},
        )
    plural = "approval" if needed.count == 1 else "approvals"
    return ApprovalNeeded(
        f"{what} needs {needed.count} {plural} by the role {needed.role} and has {given}. They are asked for; "
        f"somebody else gives one with 'weighbridge approve {verdict.ref} {verdict.target}'",
        details=details,
    )
