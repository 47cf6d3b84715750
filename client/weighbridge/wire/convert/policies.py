"""Policies, verdicts and approvals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from weighbridge.core import policies
from weighbridge.core.errors import DataLoss
from weighbridge.core.values import Role
from weighbridge.v1 import policies_pb2
from weighbridge.wire.convert.common import time_message, time_value

_OUTCOMES: Mapping[policies.RuleOutcome, policies_pb2.RuleOutcome.ValueType] = {
    policies.RuleOutcome.PASSED: policies_pb2.RULE_OUTCOME_PASSED,
    policies.RuleOutcome.FAILED: policies_pb2.RULE_OUTCOME_FAILED,
    policies.RuleOutcome.UNDECIDED: policies_pb2.RULE_OUTCOME_UNDECIDED,
    policies.RuleOutcome.SKIPPED: policies_pb2.RULE_OUTCOME_SKIPPED,
}
_MISSING: Mapping[policies.IncumbentMissing, policies_pb2.IncumbentMissing.ValueType] = {
    policies.IncumbentMissing.ALLOW: policies_pb2.INCUMBENT_MISSING_ALLOW,
    policies.IncumbentMissing.DENY: policies_pb2.INCUMBENT_MISSING_DENY,
}
_STATES: Mapping[policies.ApprovalState, policies_pb2.ApprovalState.ValueType] = {
    policies.ApprovalState.OPEN: policies_pb2.APPROVAL_STATE_OPEN,
    policies.ApprovalState.APPROVED: policies_pb2.APPROVAL_STATE_APPROVED,
    policies.ApprovalState.REJECTED: policies_pb2.APPROVAL_STATE_REJECTED,
    policies.ApprovalState.DONE: policies_pb2.APPROVAL_STATE_DONE,
}
T = TypeVar("T")


def _known(table: Mapping[T, int], number: int, what: str) -> T:
    for value, sent in table.items():
        if sent == number:
            return value
    raise DataLoss(f"the server sent {number} as {what}, which this release does not know")


def rule_messages(terms: policies.PolicyTerms) -> list[policies_pb2.PolicyRule]:
    """The rules of a policy as messages."""
    return [policies_pb2.PolicyRule(name=rule.name, cel=rule.cel, message=rule.message) for rule in terms.rules]


def approvals_message(needed: policies.ApprovalsNeeded | None) -> policies_pb2.ApprovalsNeeded | None:
    """How many approvals are needed, as a message."""
    return None if needed is None else policies_pb2.ApprovalsNeeded(count=needed.count, role=str(needed.role))


def incumbent_missing_message(missing: policies.IncumbentMissing) -> policies_pb2.IncumbentMissing.ValueType:
    """What becomes of rules without an incumbent, as its number."""
    return _MISSING[missing]


def terms_value(message: policies_pb2.Policy | policies_pb2.SetPolicyRequest) -> policies.PolicyTerms:
    """What a message asks for. Raises: DataLoss, where it has what this release does not know."""
    missing = message.incumbent_missing or policies_pb2.INCUMBENT_MISSING_ALLOW
    return policies.PolicyTerms(
        rules=tuple(policies.PolicyRule(rule.name, rule.cel, rule.message) for rule in message.rules),
        approvals=_needed(message.approvals.count, message.approvals.role) if message.HasField("approvals") else None,
        incumbent_missing=_known(_MISSING, missing, "what becomes of rules without an incumbent"),
        automatic=message.automatic,
    )


def policy_message(policy: policies.Policy) -> policies_pb2.Policy:
    """A policy as a message."""
    return policies_pb2.Policy(
        prefix=policy.prefix,
        target=policy.target,
        revision=policy.revision,
        rules=rule_messages(policy.terms),
        approvals=approvals_message(policy.terms.approvals),
        incumbent_missing=incumbent_missing_message(policy.terms.incumbent_missing),
        automatic=policy.terms.automatic,
        actor=policy.actor,
        set_time=None if policy.set_time is None else time_message(policy.set_time),
    )


def policy_value(message: policies_pb2.Policy) -> policies.Policy:
    """A message as a policy. Raises as ``terms_value``."""
    return policies.Policy(
        prefix=message.prefix,
        target=message.target,
        revision=message.revision,
        terms=terms_value(message),
        actor=message.actor,
        set_time=time_value(message.set_time) if message.HasField("set_time") else None,
    )


def verdict_message(verdict: policies.Verdict) -> policies_pb2.Verdict:
    """A verdict as a message."""
    return policies_pb2.Verdict(
        ref=verdict.ref,
        target=verdict.target,
        policy_prefix=verdict.policy_prefix,
        policy_revision=verdict.policy_revision,
        incumbent_ref=verdict.incumbent_ref,
        passed=verdict.passed,
        rules=[_rule_message(rule) for rule in verdict.rules],
        approvals=None if verdict.approvals is None else _approval_verdict_message(verdict.approvals),
    )


def verdict_value(message: policies_pb2.Verdict) -> policies.Verdict:
    """A message as a verdict. Raises: DataLoss, where it has what this release does not know."""
    return policies.Verdict(
        ref=message.ref,
        target=message.target,
        policy_prefix=message.policy_prefix,
        policy_revision=message.policy_revision,
        incumbent_ref=message.incumbent_ref,
        rules=tuple(map(_rule_value, message.rules)),
        approvals=_approval_verdict_value(message.approvals) if message.HasField("approvals") else None,
    )


def checked_by_policy_message(checked: policies.CheckedByPolicy) -> policies_pb2.CheckedByPolicy:
    """A judged version as a message."""
    return policies_pb2.CheckedByPolicy(verdict=verdict_message(checked.verdict), held=checked.held)


def checked_by_policy_value(message: policies_pb2.CheckedByPolicy) -> policies.CheckedByPolicy:
    """A message as a judged version. Raises as ``verdict_value``."""
    return policies.CheckedByPolicy(verdict_value(message.verdict), message.held)


def approval_request_message(request: policies.ApprovalRequest) -> policies_pb2.ApprovalRequest:
    """A request for approval as a message."""
    return policies_pb2.ApprovalRequest(
        ref=request.ref,
        target=request.target,
        state=_STATES[request.state],
        requester=request.requester,
        requested_time=time_message(request.requested_time),
        comment=request.comment,
        needed=request.needed.count,
        role=str(request.needed.role),
        approvals=map(_approval_message, request.approvals),
        rejection=None if request.rejection is None else _approval_message(request.rejection),
        outdated=request.outdated,
        policy_prefix=request.policy_prefix,
        policy_revision=request.policy_revision,
        record_digest=request.record_digest,
    )


def approval_request_value(message: policies_pb2.ApprovalRequest) -> policies.ApprovalRequest:
    """A message as a request for approval. Raises: DataLoss, where it has what this release does not know."""
    return policies.ApprovalRequest(
        ref=message.ref,
        target=message.target,
        state=_known(_STATES, message.state, "how a request for approval stands"),
        requester=message.requester,
        requested_time=time_value(message.requested_time),
        comment=message.comment,
        needed=_needed(message.needed, message.role),
        approvals=tuple(map(_approval_value, message.approvals)),
        rejection=_approval_value(message.rejection) if message.HasField("rejection") else None,
        outdated=message.outdated,
        policy_prefix=message.policy_prefix,
        policy_revision=message.policy_revision,
        record_digest=message.record_digest,
    )


def _needed(count: int, role: str) -> policies.ApprovalsNeeded:
    try:
        return policies.ApprovalsNeeded(count, Role(role))
    except ValueError as fault:
        raise DataLoss(f"the server sent {role[:80]!r} as a role, which this release does not know") from fault


def _rule_message(rule: policies.RuleVerdict) -> policies_pb2.RuleVerdict:
    return policies_pb2.RuleVerdict(
        name=rule.name,
        cel=rule.cel,
        message=rule.message,
        outcome=_OUTCOMES[rule.outcome],
        values=[policies_pb2.SeenValue(name=value.name, json=value.json) for value in rule.values],
    )


def _rule_value(message: policies_pb2.RuleVerdict) -> policies.RuleVerdict:
    return policies.RuleVerdict(
        name=message.name,
        cel=message.cel,
        message=message.message,
        outcome=_known(_OUTCOMES, message.outcome, "what came of a rule"),
        values=tuple(policies.SeenValue(value.name, value.json) for value in message.values),
    )


def _approval_verdict_message(approvals: policies.ApprovalVerdict) -> policies_pb2.ApprovalVerdict:
    return policies_pb2.ApprovalVerdict(
        needed=approvals.needed.count,
        role=str(approvals.needed.role),
        given=map(_approval_message, approvals.given),
        rejected=None if approvals.rejected is None else _approval_message(approvals.rejected),
    )


def _approval_verdict_value(message: policies_pb2.ApprovalVerdict) -> policies.ApprovalVerdict:
    return policies.ApprovalVerdict(
        needed=_needed(message.needed, message.role),
        given=tuple(map(_approval_value, message.given)),
        rejected=_approval_value(message.rejected) if message.HasField("rejected") else None,
    )


def _approval_message(approval: policies.Approval) -> policies_pb2.Approval:
    return policies_pb2.Approval(actor=approval.actor, time=time_message(approval.time), comment=approval.comment)


def _approval_value(message: policies_pb2.Approval) -> policies.Approval:
    return policies.Approval(message.actor, time_value(message.time), message.comment)
