"""What was asked for and answered: which approvals of a version count.

An answer binds to what was judged. When the policy, the target's pointer, the record or a metric has changed since, it
counts no more, and its request is open again, without anybody having to close and open anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.policies import Approval, ApprovalsNeeded, ApprovalVerdict, Policy
from weighbridge.core.refs import alias_ref
from weighbridge.core.values import Version
from weighbridge_server.domain.canonical import canonical_json, json_digest
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.lifecycle.pointers import last_revision
from weighbridge_server.domain.policy.ports import Answer, Binding, RequestRow
from weighbridge_server.domain.ports import Transaction
from weighbridge_server.domain.registry.record_text import record_text


@dataclass(frozen=True)
class Standing:
    """How the newest request for a version stands."""

    request: RequestRow | None
    """None: nobody asked."""
    binding: Binding
    """What an answer binds to now."""
    counting: Sequence[Answer]
    outdated: int

    @property
    def open(self) -> bool:
        """Whether there is a request that waits or was answered, and the version did not enter by it."""
        return self.request is not None and not self.request.closed

    @property
    def approvals(self) -> Sequence[Approval]:
        """The approvals that count, the oldest first."""
        return tuple(answer.approval for answer in self.counting if answer.approved)

    @property
    def rejection(self) -> Approval | None:
        """The rejection that stands."""
        return next((answer.approval for answer in self.counting if not answer.approved), None)

    def verdict(self, needed: ApprovalsNeeded) -> ApprovalVerdict:
        """What it comes to."""
        return ApprovalVerdict(needed, self.approvals, self.rejection)


def standing(tx: Transaction, policy: Policy, version: Version) -> Standing:
    """How approval of a whole version stands under a policy."""
    request = tx.approvals.present(version.model, version.version, policy.target)
    binding = Binding(
        policy.prefix,
        policy.revision,
        last_revision(tx, alias_ref(version.model, policy.target)),
        judged_digest(version),
    )
    answers = request.answers if request is not None and not request.closed else ()
    counting = tuple(answer for answer in answers if answer.binding == binding)
    return Standing(request, binding, counting, len(answers) - len(counting))


def judged_digest(version: Version) -> Digest:
    """Of what people look at when they approve: the files, the record and the metrics."""
    assert version.record is not None, "the caller read the whole version"
    metrics = [
        [metric.name, *map(repr, (metric.latest, metric.min, metric.max)), metric.step, metric.points]
        for metric in version.metrics or ()
    ]
    said = {"manifest": format_digest(version.manifest), "record": record_text(version.record), "metrics": metrics}
    return json_digest(said)


def ask(tx: Transaction, policy: Policy, version: Version, comment: str, requester: str = "") -> None:
    """Opens a request for approval, in the name of ``requester`` or of who calls.

    The caller locked the model and found nothing else against the move.
    """
    tx.approvals.add(version.model, version.version, policy.target, requester or tx.actor, comment)
    record_answer(tx, "approval.requested", policy, version, comment)


def record_answer(tx: Transaction, action: str, policy: Policy, version: Version, comment: str) -> None:
    """Has the journal say what was asked or answered, and for what."""
    said = {
        "target": policy.target,
        "policy": {"prefix": policy.prefix, "revision": policy.revision},
        "record_digest": format_digest(judged_digest(version)),
        "comment": comment,
    }
    tx.record(Change(action, version.ref, "", canonical_json(said)))
