"""What a policy said of a version, for people."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import one_line
from weighbridge.core.policies import RuleOutcome, RuleVerdict, Verdict

_SHOWN = {
    RuleOutcome.PASSED: "pass",
    RuleOutcome.FAILED: "FAIL",
    RuleOutcome.UNDECIDED: "FAIL",
    RuleOutcome.SKIPPED: "skip",
}


def print_verdict(verdict: Verdict) -> None:
    """Each rule with what it saw, and how far the approvals have come."""
    policy = (
        f"{verdict.policy_prefix}, revision {verdict.policy_revision}" if verdict.policy_revision else "not set yet"
    )
    facts = [("policy", policy), ("incumbent", verdict.incumbent_ref or "none")]
    facts += [("approvals", text) for text in _approvals(verdict)]
    print_facts(
        f"{verdict.ref} {'fulfils' if verdict.passed else 'does not fulfil'} the policy for {verdict.target}", facts
    )
    if verdict.rules:
        print_table(
            ["RULE", "RESULT", "VALUES"],
            [[rule.name, _SHOWN[rule.outcome], one_line(_saw(rule))] for rule in verdict.rules],
        )


def why_failed(verdict: Verdict) -> list[tuple[str, str]]:
    """The rules that fail, each with its message and what it saw."""
    return [(rule.name, one_line(f"{rule.message or rule.cel}: {_saw(rule)}")) for rule in verdict.rules if not rule.ok]


def _approvals(verdict: Verdict) -> Iterator[str]:
    approvals = verdict.approvals
    if approvals is None:
        return
    by = f" by {', '.join(one.actor for one in approvals.given)}" if approvals.given else ""
    rejected = "" if approvals.rejected is None else f"; rejected by {approvals.rejected.actor}"
    yield f"{len(approvals.given)} of {approvals.needed.count} ({approvals.needed.role}){by}{rejected}"


def _saw(rule: RuleVerdict) -> str:
    values = ", ".join(f"{value.name} = {value.json or 'missing'}" for value in rule.values)
    if rule.outcome is RuleOutcome.SKIPPED:
        return "no incumbent"
    return values
