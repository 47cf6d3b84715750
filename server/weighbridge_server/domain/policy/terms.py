"""What a policy asks for, as the document that is kept and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weighbridge.core.policies import ApprovalsNeeded, IncumbentMissing, PolicyRule, PolicyTerms
from weighbridge.core.values import Role


def terms_document(terms: PolicyTerms) -> dict[str, Any]:
    """With the names that the file of a policy has."""
    approvals = terms.approvals
    return {
        "rules": [{"name": rule.name, "cel": rule.cel, "message": rule.message} for rule in terms.rules],
        "approvals": None if approvals is None else {"count": approvals.count, "role": str(approvals.role)},
        "incumbent_missing": str(terms.incumbent_missing),
        "automatic": terms.automatic,
    }


def terms_of(document: Mapping[str, Any]) -> PolicyTerms:
    """The terms of a document that was made here."""
    approvals = document["approvals"]
    return PolicyTerms(
        rules=tuple(PolicyRule(rule["name"], rule["cel"], rule["message"]) for rule in document["rules"]),
        approvals=None if approvals is None else ApprovalsNeeded(approvals["count"], Role(approvals["role"])),
        incumbent_missing=IncumbentMissing(document["incumbent_missing"]),
        automatic=document["automatic"],
    )
