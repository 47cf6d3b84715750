"""Policies: setting and reading them, judging versions by them, and approvals."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.policies import (
    ApprovalRequest,
    ApprovalsNeeded,
    CheckedByPolicy,
    IncumbentMissing,
    Policy,
    PolicyRule,
    PolicyTerms,
)
from weighbridge.core.policy_check import check_comment, check_policy, check_target
from weighbridge.core.refs import check_model_name, check_prefix, parse_ref
from weighbridge.core.text_check import checked_text
from weighbridge.v1 import policies_pb2
from weighbridge.wire import convert


class PolicyCalls(Connected):
    """See ``Client``."""

    def set_policy(
        self,
        prefix: str,
        target: str,
        rules: Sequence[PolicyRule] = (),
        *,
        approvals: ApprovalsNeeded | None = None,
        incumbent_missing: IncumbentMissing | str = IncumbentMissing.ALLOW,
        automatic: bool = False,
        expected_revision: int | None = None,
    ) -> Policy:
        """Sets what versions must fulfil to enter a stage, or to have a protected alias pointed at them.

        The longest prefix that has a policy for the target governs a model, and no other counts. One without rules and
        approvals asks for nothing.

        Args:
            prefix: a model's name, or whole segments of names, such as ``fraud``; ``*``: all names.
            target: a stage, or an alias. That of ``development`` gates the commit: what breaks it is not registered.
            rules: all must pass. Each is CEL over ``candidate`` and ``incumbent``, described in SPEC.md, such as
                ``candidate.metrics.accuracy >= incumbent.metrics.accuracy * 1.01``. What is missing or NaN never
                passes.
            approvals: how many people must approve, and the role they must have. The server must know who calls.
            incumbent_missing: ``allow``: rules that name the incumbent are passed over when there is none; ``deny``:
                they fail.
            automatic: a version enters by itself as soon as it fulfils the policy.
            expected_revision: refused unless the policy is at this revision; 0: unless none was set.

        Raises:
            InvalidExpression: a rule cannot be judged; the violations say where in which.
            WrongState: it asks for approvals, and the server does not know who calls.
            RevisionConflict: it is at another revision; ``details`` say at which.
            InvalidName, InvalidReference, InvalidRequest, LimitExceeded.
        """
        terms = PolicyTerms(tuple(rules), approvals, IncumbentMissing(incumbent_missing), automatic)
        check_policy(prefix, target, terms)
        request = policies_pb2.SetPolicyRequest(
            request_id=uuid.uuid4().hex,
            prefix=prefix,
            target=target,
            rules=convert.rule_messages(terms),
            approvals=convert.approvals_message(terms.approvals),
            incumbent_missing=convert.incumbent_missing_message(terms.incumbent_missing),
            automatic=terms.automatic,
            expected_revision=expected_revision,
        )
        return convert.policy_value(self._connection.call(self._connection.lifecycle.SetPolicy, request))

    def policy(self, name: str, target: str, revision: int | None = None) -> Policy:
        """The policy that governs a model or prefix for a target; with ``revision`` that one of exactly this prefix.

        Raises:
            InvalidName, InvalidReference, PolicyNotFound.
        """
        request = policies_pb2.GetPolicyRequest(name=check_prefix(name), target=check_target(target), revision=revision)
        return convert.policy_value(self._connection.call(self._connection.lifecycle.GetPolicy, request))

    def policies(self, name: str = "") -> list[Policy]:
        """What governs a model or prefix, one policy for each target; by default all that are set.

        Raises:
            InvalidName.
        """
        request = policies_pb2.ListPoliciesRequest(name=check_prefix(name) if name else "")
        answer = self._connection.call(self._connection.lifecycle.ListPolicies, request)
        return [convert.policy_value(message) for message in answer.policies]

    def check_policy(self, versions: str, target: str, terms: PolicyTerms | None = None) -> Iterator[CheckedByPolicy]:
        """Judges committed versions by a policy; changes nothing.

        A version that held the target is judged against whom it displaced when it first entered; any other against
        the present holder. Approvals are left aside.

        Args:
            versions: a reference to one version, or a model or prefix, whose versions are all judged.
            target: a stage, or an alias.
            terms: of a policy that is not set; by default for each version the policy that governs it now.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, InvalidExpression, ModelNotFound, ModelDeleted,
            VersionNotFound, VersionDeleted, AliasNotFound, PolicyNotFound.
        """
        if any(mark in versions for mark in ":@#"):
            parse_ref(versions)
        else:
            check_prefix(versions)
        request = policies_pb2.CheckPolicyRequest(versions=versions, target=check_target(target))
        if terms is not None:
            request.policy.CopyFrom(convert.policy_message(Policy("", target, 0, terms)))
        return map(
            convert.checked_by_policy_value, self._connection.stream(self._connection.lifecycle.CheckPolicy, request)
        )

    def request_approval(self, ref: str, target: str, *, comment: str = "") -> ApprovalRequest:
        """Asks for the approvals that a policy needs before a version may enter; one that is open stays as it is.

        ``promote`` and ``set_alias`` do this by themselves where approvals are all that lacks. What was rejected is
        asked anew here only.

        Args:
            ref: any reference.
            target: a stage, or an alias.
            comment: why, at most 1024 characters.

        Raises:
            WrongState: no policy asks for approvals there, or the version may not go there.
            PolicyRefused: a rule fails.
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound.
        """
        parse_ref(ref)
        request = policies_pb2.RequestApprovalRequest(
            request_id=uuid.uuid4().hex, ref=ref, target=check_target(target), comment=check_comment(comment)
        )
        return convert.approval_request_value(
            self._connection.call(self._connection.lifecycle.RequestApproval, request)
        )

    def approve(self, ref: str, target: str, *, comment: str = "", record_digest: str = "") -> ApprovalRequest:
        """Approves a version for a stage or an alias. Under an automatic policy the last approval lets it enter.

        The approval binds to what is there now: a change of the policy, of who holds the target, of a tag or a metric
        makes it void.

        Args:
            ref: any reference.
            target: a stage, or an alias.
            comment: at most 1024 characters.
            record_digest: of the request that was looked at; refused when what is judged has changed since.

        Raises:
            PermissionDenied: the caller asked for it, made the version, or has not the role.
            WrongState: nobody asked, it was rejected, or has its approvals; or the server does not know who calls.
            RevisionConflict: what is judged is not ``record_digest`` any more.
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound.
        """
        parse_ref(ref)
        request = policies_pb2.ApproveRequest(
            request_id=uuid.uuid4().hex,
            ref=ref,
            target=check_target(target),
            comment=check_comment(comment),
            record_digest=checked_text("digest", record_digest),
        )
        return convert.approval_request_value(self._connection.call(self._connection.lifecycle.Approve, request))

    def reject(self, ref: str, target: str, *, comment: str) -> ApprovalRequest:
        """Rejects it, with a reason. Takes and raises what ``approve`` does."""
        parse_ref(ref)
        request = policies_pb2.RejectRequest(
            request_id=uuid.uuid4().hex, ref=ref, target=check_target(target), comment=check_comment(comment)
        )
        return convert.approval_request_value(self._connection.call(self._connection.lifecycle.Reject, request))

    def approval_requests(
        self, model: str = "", *, waiting_for_me: bool = False, closed: bool = False
    ) -> Iterator[ApprovalRequest]:
        """Requests for approval, the oldest first.

        Args:
            model: only of this one.
            waiting_for_me: only what waits for an answer that the caller may give.
            closed: those that are done or rejected too.

        Raises:
            InvalidName, ModelNotFound, ModelDeleted.
        """
        if model:
            check_model_name(model)

        def page(token: str) -> tuple[Sequence[policies_pb2.ApprovalRequest], str]:
            request = policies_pb2.ListApprovalRequestsRequest(
                model=model,
                waiting_for_me=waiting_for_me,
                show_closed=closed,
                page_size=PAGE_SIZE,
                page_token=token,
            )
            answer = self._connection.call(self._connection.lifecycle.ListApprovalRequests, request)
            return answer.requests, answer.next_page_token

        return map(convert.approval_request_value, self._pages("requests", page))
