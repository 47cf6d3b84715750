"""A verdict as the journal keeps it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from weighbridge.core.policies import (
    Approval,
    ApprovalsNeeded,
    ApprovalVerdict,
    RuleOutcome,
    RuleVerdict,
    SeenValue,
    Verdict,
)
from weighbridge.core.values import Role


def evidence(verdict: Verdict) -> dict[str, Any]:
    """What an event says of the verdict that it was made by; see SPEC.md."""
    said: dict[str, Any] = {
        "policy": {
            "prefix": verdict.policy_prefix,
            "target": verdict.target,
            "revision": verdict.policy_revision,
        },
        "incumbent": verdict.incumbent_ref,
        "rules": [
            {
                "name": rule.name,
                "cel": rule.cel,
                "message": rule.message,
                "outcome": str(rule.outcome),
                "values": [[value.name, value.json] for value in rule.values],
            }
            for rule in verdict.rules
        ],
    }
    if verdict.approvals is not None:
        said["approvals"] = {
            "needed": verdict.approvals.needed.count,
            "role": str(verdict.approvals.needed.role),
            "given": [
                {"actor": one.actor, "time": one.time.isoformat(), "comment": one.comment}
                for one in verdict.approvals.given
            ],
        }
    return said


def verdict_of(ref: str, said: Mapping[str, Any]) -> Verdict:
    """The verdict by which a version entered."""
    policy, approvals = said["policy"], said.get("approvals")
    return Verdict(
        ref=ref,
        target=policy["target"],
        policy_prefix=policy["prefix"],
        policy_revision=policy["revision"],
        incumbent_ref=said["incumbent"],
        rules=tuple(_rule(rule) for rule in said["rules"]),
        approvals=None if approvals is None else _approvals(approvals),
    )


def _rule(said: Mapping[str, Any]) -> RuleVerdict:
    values = tuple(SeenValue(name, json) for name, json in said["values"])
    return RuleVerdict(said["name"], said["cel"], said["message"], RuleOutcome(said["outcome"]), values)


def _approvals(said: Mapping[str, Any]) -> ApprovalVerdict:
    given = tuple(Approval(one["actor"], datetime.fromisoformat(one["time"]), one["comment"]) for one in said["given"])
    return ApprovalVerdict(ApprovalsNeeded(said["needed"], Role(said["role"])), given)
