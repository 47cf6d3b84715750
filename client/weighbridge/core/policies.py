"""Policies of promotion: their rules, what they said of a version, and who approved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from weighbridge.core.values import Role


@dataclass(frozen=True)
class PolicyRule:
    """A condition in CEL over ``candidate`` and ``incumbent``."""

    name: str
    cel: str
    message: str = ""
    """What is said to whom it refuses; empty: the condition."""


@dataclass(frozen=True)
class ApprovalsNeeded:
    """How many people must approve, and the role that each must have."""

    count: int = 1
    role: Role = Role.APPROVER


class IncumbentMissing(StrEnum):
    """What becomes of rules that name ``incumbent`` when there is none."""

    ALLOW = "allow"
    """They are passed over."""
    DENY = "deny"
    """They fail."""


@dataclass(frozen=True)
class PolicyTerms:
    """What a policy asks for."""

    rules: Sequence[PolicyRule] = ()
    approvals: ApprovalsNeeded | None = None
    incumbent_missing: IncumbentMissing = IncumbentMissing.ALLOW
    automatic: bool = False
    """A version enters by itself as soon as it fulfils the policy."""


@dataclass(frozen=True)
class Policy:
    """A revision of the policy of a prefix for one target."""

    prefix: str
    """Whole segments of the names that it governs; ``*``: all names."""
    target: str
    """A stage, or an alias, which it protects."""
    revision: int
    """From 1; 0: it is not set."""
    terms: PolicyTerms
    actor: str = ""
    set_time: datetime | None = None


class RuleOutcome(StrEnum):
    """What came of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """Something that it names is missing, NaN or of another kind; it fails."""
    SKIPPED = "skipped"
    """It names the incumbent, there is none, and the policy passes it over."""


@dataclass(frozen=True)
class SeenValue:
    """A value that a rule saw."""

    name: str
    """As in the rule: ``candidate.metrics.accuracy``."""
    json: str
    """JSON, or ``NaN``, ``Infinity``, ``-Infinity``; empty: it is missing."""


@dataclass(frozen=True)
class RuleVerdict:
    """What came of one rule, and the values that it saw."""

    name: str
    cel: str
    message: str
    outcome: RuleOutcome
    values: Sequence[SeenValue] = ()

    @property
    def ok(self) -> bool:
        """Whether it stands in nobody's way."""
        return self.outcome in (RuleOutcome.PASSED, RuleOutcome.SKIPPED)


@dataclass(frozen=True)
class Approval:
    """One person's answer."""

    actor: str
    time: datetime
    comment: str = ""


@dataclass(frozen=True)
class ApprovalVerdict:
    """How far the approvals have come."""

    needed: ApprovalsNeeded
    given: Sequence[Approval] = ()
    """Those that count."""
    rejected: Approval | None = None

    @property
    def ok(self) -> bool:
        """Whether none is lacking."""
        return self.rejected is None and len(self.given) >= self.needed.count


@dataclass(frozen=True)
class Verdict:
    """What a policy says of a version, with all that it was decided by."""

    ref: str
    target: str
    policy_prefix: str
    policy_revision: int
    """0: of a policy that is not set."""
    incumbent_ref: str
    """Empty: nobody held the target."""
    rules: Sequence[RuleVerdict] = ()
    approvals: ApprovalVerdict | None = None
    """None: the policy asks for none."""

    @property
    def rules_passed(self) -> bool:
        """Whether no rule is in the way."""
        return all(rule.ok for rule in self.rules)

    @property
    def passed(self) -> bool:
        """Whether nothing is in the way."""
        return self.rules_passed and (self.approvals is None or self.approvals.ok)


@dataclass(frozen=True)
class CheckedByPolicy:
    """A committed version that was judged by a policy."""

    verdict: Verdict
    """Approvals left aside."""
    held: bool
    """It held the target at some time, and was judged against who held it before."""


class ApprovalState(StrEnum):
    """How a request for approval stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    DONE = "done"
    """The version entered."""


@dataclass(frozen=True)
class ApprovalRequest:
    """A version that waits for approval, has it, or was denied it."""

    ref: str
    target: str
    state: ApprovalState
    requester: str
    requested_time: datetime
    comment: str
    needed: ApprovalsNeeded
    approvals: Sequence[Approval]
    """Those that count."""
    rejection: Approval | None
    outdated: int
    """Answers that count no more, since what they were given for has changed."""
    policy_prefix: str
    policy_revision: int
    record_digest: str
    """``b3:<hex>`` of what is judged: ``approve`` takes it, to approve that and nothing newer."""
