"""What a policy said of a version, for programs."""

from __future__ import annotations

from typing import Any

from weighbridge.cli.units import rfc3339
from weighbridge.core.policies import Approval, Verdict


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON."""
    approvals = verdict.approvals
    return {
        "ref": verdict.ref,
        "target": verdict.target,
        "passed": verdict.passed,
        "policy": {"prefix": verdict.policy_prefix, "revision": verdict.policy_revision},
        "incumbent_ref": verdict.incumbent_ref,
        "rules": [
            {
                "name": rule.name,
                "cel": rule.cel,
                "message": rule.message,
                "outcome": str(rule.outcome),
                "values": {value.name: value.json or None for value in rule.values},
            }
            for rule in verdict.rules
        ],
        "approvals": None
        if approvals is None
        else {
            "needed": approvals.needed.count,
            "role": str(approvals.needed.role),
            "given": [approval_document(one) for one in approvals.given],
            "rejected": None if approvals.rejected is None else approval_document(approvals.rejected),
        },
    }


def approval_document(approval: Approval) -> dict[str, Any]:
    """One person's answer as JSON."""
    return {"actor": approval.actor, "time": rfc3339(approval.time), "comment": approval.comment}
