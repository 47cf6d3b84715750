"""Requests for approval: asking, approving, rejecting, and what waits for whom."""

from __future__ import annotations

from dataclasses import dataclass

from weighbridge.core.digest import format_digest
from weighbridge.core.errors import InvalidRequest, PermissionDenied, RevisionConflict, Violation, WrongState
from weighbridge.core.policies import ApprovalRequest, ApprovalState, Policy, Verdict
from weighbridge.core.policy_check import check_comment, check_target
from weighbridge.core.refs import Ref, check_model_name, parse_ref, version_ref
from weighbridge.core.values import Role, Stage, Version
from weighbridge_server.domain.access.callers import Caller
from weighbridge_server.domain.lifecycle.aliases import judged_alias
from weighbridge_server.domain.lifecycle.stages import MOVES, judged_move
from weighbridge_server.domain.pages import DEFAULT_SIZE, page_number, page_token
from weighbridge_server.domain.policy.answers import Standing, ask, record_answer, standing
from weighbridge_server.domain.policy.automatic import promote_automatically
from weighbridge_server.domain.policy.gate import ask_command, governing, move_command, require_rules
from weighbridge_server.domain.policy.ports import RequestRow
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import existing_model
from weighbridge_server.domain.registry.versions import find_version
from weighbridge_server.domain.requests import once


@dataclass(frozen=True)
class _Asked:
    """A version under a policy that asks for approvals."""

    version: Version
    policy: Policy
    standing: Standing


@dataclass(frozen=True)
class _Listed:
    """A request as it stands, and the version that it is for."""

    request: ApprovalRequest
    version: Version


class Approvals:
    """Approvals of all models. Each change locks the model's row first, as those of a model do (see ``Models``)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def request(self, caller: Caller, request_id: str, ref: str, target: str, comment: str) -> ApprovalRequest:
        """Asks for the approvals that a policy needs; a request that is open already stays as it is.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound, WrongState, PolicyRefused, RequestIdReused.
        """
        wanted = _checked(ref, target, comment)
        payload = {"call": "RequestApproval", "ref": ref, "target": target, "comment": comment}
        with self._catalog.transaction(caller.actor) as tx:
            asked = once(tx, request_id, payload, lambda: _request(tx, wanted, target, comment))
            return _shown(tx, parse_ref(asked), target)

    def approve(
        self, caller: Caller, request_id: str, ref: str, target: str, comment: str, record_digest: str
    ) -> ApprovalRequest:
        """Approves a version for a target; the last approval under an automatic policy lets it enter.

        ``record_digest``: what the approver looked at; empty: whatever is there.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound, WrongState, PermissionDenied, RevisionConflict, RequestIdReused.
        """
        return self._answer(caller, request_id, ref, target, comment, record_digest, approved=True)

    def reject(self, caller: Caller, request_id: str, ref: str, target: str, comment: str) -> ApprovalRequest:
        """Rejects it, with a reason. Raises as ``approve``."""
        if not comment.strip():
            raise InvalidRequest(
                "a rejection says why", violations=[Violation("comment", "is empty; the journal keeps it")]
            )
        return self._answer(caller, request_id, ref, target, comment, "", approved=False)

    def list(
        self, caller: Caller, model: str, size: int, token: str, *, waiting_for_me: bool, closed: bool
    ) -> tuple[list[ApprovalRequest], str]:
        """One page of the open requests, or with ``closed`` of all, the oldest first, and the token of the next.

        Raises:
            InvalidRequest, InvalidName, ModelNotFound, ModelDeleted.
        """
        size, after = size or DEFAULT_SIZE, page_number(token)
        with self._catalog.snapshot() as tx:
            if model:
                existing_model(tx, check_model_name(model))
            while True:
                rows = tx.approvals.page(model, after, size, closed=closed)
                readable = [row for row in rows if caller.has_role(Role.READER, row.model, row.target)]
                found = [listed for row in readable if (listed := _listed(tx, row)) is not None]
                requests = [one.request for one in found if not waiting_for_me or _waits_for(caller, one)]
                if len(rows) < size:
                    return requests, ""
                after = rows[-1].request_id
                if requests:
                    return requests, page_token(str(after))

    def _answer(
        self,
        caller: Caller,
        request_id: str,
        ref: str,
        target: str,
        comment: str,
        record_digest: str,
        *,
        approved: bool,
    ) -> ApprovalRequest:
        wanted = _checked(ref, target, comment)
        if not caller.authenticated:
            raise WrongState(
                "this server does not know who calls, so that anybody could approve: it was started without --auth"
            )
        payload = {
            "call": "Approve" if approved else "Reject",
            "ref": ref,
            "target": target,
            "comment": comment,
            "record_digest": record_digest,
        }

        def answer() -> str:
            existing_model(tx, wanted.model, lock=True)
            tx.policies.lock(shared=True)
            asked = _asked(tx, wanted, target)
            _check_open(caller, asked, approved=approved)
            _check_answerer(caller, asked, approved=approved)
            _check_digest(asked, record_digest)
            return _record(tx, asked, comment, approved=approved)

        with self._catalog.transaction(caller.actor) as tx:
            answered = once(tx, request_id, payload, answer)
            return _shown(tx, parse_ref(answered), target)


def _checked(ref: str, target: str, comment: str) -> Ref:
    wanted = parse_ref(ref)
    check_target(target)
    check_comment(comment)
    return wanted


def _request(tx: Transaction, ref: Ref, target: str, comment: str) -> str:
    existing_model(tx, ref.model, lock=True)
    tx.policies.lock(shared=True)
    version, verdict = _judged(tx, ref, target)
    if target in version.aliases:
        raise WrongState(f"{target} points at {version.ref} already", details={"ref": version.ref, "target": target})
    asked = _asked(tx, ref, target)
    require_rules(verdict)
    if not asked.standing.open or asked.standing.rejection is not None:
        ask(tx, asked.policy, version, comment)
    return version.ref


def _judged(tx: Transaction, ref: Ref, target: str) -> tuple[Version, Verdict | None]:
    if target in tuple(Stage):
        move = judged_move(tx, ref, Stage(target))
        return move.version, move.verdict
    return judged_alias(tx, ref, target)


def _asked(tx: Transaction, ref: Ref, target: str) -> _Asked:
    version = find_version(tx, ref, whole=True)
    policy = governing(tx, version.model, target)
    if policy is None or policy.terms.approvals is None:
        raise WrongState(
            f"no policy asks for approvals where {version.ref} would enter {target}; "
            f"'{move_command(version.ref, target)}' moves it",
            details={"ref": version.ref, "target": target},
        )
    return _Asked(version, policy, standing(tx, policy, version))


def _check_open(caller: Caller, asked: _Asked, *, approved: bool) -> None:
    ref, target = asked.version.ref, asked.policy.target
    needed = asked.policy.terms.approvals
    assert needed is not None, "what asks for approvals was looked for"
    rejection = asked.standing.rejection
    if not asked.standing.open:
        what = f"nobody asked for approval; '{move_command(ref, target)}' does"
    elif rejection is not None:
        what = f"{rejection.actor} rejected it: {rejection.comment!r}; '{ask_command(ref, target)}' asks anew"
    elif not approved:
        return
    elif not _may_go(asked.version, target):
        what = f"it is in {asked.version.stage}, from where nothing goes to {target}"
    elif any(approval.actor == caller.actor for approval in asked.standing.approvals):
        what = "you approved it already, and each approval is somebody else's"
    elif len(asked.standing.approvals) >= needed.count:
        what = f"it has all its approvals; '{move_command(ref, target)}' moves it"
    else:
        return
    raise WrongState(
        f"{ref} for {target} cannot be {'approved' if approved else 'rejected'}: {what}",
        details={"ref": ref, "target": target},
    )


def _check_answerer(caller: Caller, asked: _Asked, *, approved: bool) -> None:
    """Who answers has the role, and neither asked for it nor made what is approved."""
    version, target, request = asked.version, asked.policy.target, asked.standing.request
    needed = asked.policy.terms.approvals
    assert needed is not None, "what asks for approvals was looked for"
    assert request is not None, "it is open"
    violations = []
    if not caller.has_role(needed.role, version.model, target):
        what = f"is not {needed.role} of {version.model}; 'weighbridge grant add' by an admin makes you that"
        violations.append(Violation("role", what))
    if approved and _same(caller.actor, request.requester):
        violations.append(Violation("requester", "asked for it; somebody else approves"))
    if approved and _same(caller.actor, version.creator):
        violations.append(Violation("creator", "made this version; somebody else approves"))
    if violations:
        raise PermissionDenied(
            f"{caller.actor} cannot {'approve' if approved else 'reject'} {version.ref} for {target}",
            violations=violations,
            details={"ref": version.ref, "target": target, "role": str(needed.role)},
        )


def _same(actor: str, other: str) -> bool:
    """Whether two are one; a name that was only declared, before the server asked who calls, counts as that name."""
    return actor == other.removeprefix("unauthenticated:")


def _check_digest(asked: _Asked, wanted: str) -> None:
    present = format_digest(asked.standing.binding.record_digest)
    if wanted and wanted != present:
        raise RevisionConflict(
            f"{asked.version.ref} is not what you looked at: its record or its metrics changed. Look again and decide "
            "anew",
            details={"resource": asked.version.ref, "value": present},
        )


def _record(tx: Transaction, asked: _Asked, comment: str, *, approved: bool) -> str:
    request = asked.standing.request
    assert request is not None, "it is open"
    tx.approvals.answer(request.request_id, comment, asked.standing.binding, approved=approved)
    action = "approval.approved" if approved else "approval.rejected"
    record_answer(tx, action, asked.policy, asked.version, comment)
    if approved:
        promote_automatically(tx, asked.version)
    return asked.version.ref


def _shown(tx: Transaction, ref: Ref, target: str) -> ApprovalRequest:
    row = tx.approvals.present(ref.model, ref.version or 0, target)
    assert row is not None, "it was asked for"
    listed = _listed(tx, row)
    if listed is None:
        raise WrongState(
            f"no policy asks for approvals of {version_ref(row.model, row.number)} for {target} any more",
            details={"ref": version_ref(row.model, row.number), "target": target},
        )
    return listed.request


def _listed(tx: Transaction, row: RequestRow) -> _Listed | None:
    """A request as it stands; None where no policy asks for approvals any more."""
    policy = governing(tx, row.model, row.target)
    if policy is None or policy.terms.approvals is None:
        return None
    version = find_version(tx, Ref(row.model, version=row.number), whole=True, deleted=True)
    stands = standing(tx, policy, version)
    if row.closed:
        answers = [answer.approval for answer in row.answers if answer.approved]
        rejection = next((answer.approval for answer in row.answers if not answer.approved), None)
    else:
        answers, rejection = list(stands.approvals), stands.rejection
    request = ApprovalRequest(
        ref=version_ref(row.model, row.number),
        target=row.target,
        state=_state(row, len(answers) >= policy.terms.approvals.count, rejected=rejection is not None),
        requester=row.requester,
        requested_time=row.requested_time,
        comment=row.comment,
        needed=policy.terms.approvals,
        approvals=tuple(answers),
        rejection=rejection,
        outdated=0 if row.closed else stands.outdated,
        policy_prefix=policy.prefix,
        policy_revision=policy.revision,
        record_digest=format_digest(stands.binding.record_digest),
    )
    return _Listed(request, version)


def _state(row: RequestRow, complete: bool, *, rejected: bool) -> ApprovalState:
    if row.done:
        return ApprovalState.DONE
    if rejected or row.closed:
        return ApprovalState.REJECTED
    return ApprovalState.APPROVED if complete else ApprovalState.OPEN


def _waits_for(caller: Caller, listed: _Listed) -> bool:
    request, version = listed.request, listed.version
    return (
        request.state is ApprovalState.OPEN
        and _may_go(version, request.target)
        and caller.has_role(request.needed.role, version.model, request.target)
        and not _same(caller.actor, request.requester)
        and not _same(caller.actor, version.creator)
        and all(approval.actor != caller.actor for approval in request.approvals)
    )


def _may_go(version: Version, target: str) -> bool:
    """Whether it could enter as things stand: a version that was displaced meanwhile is too far away."""
    return target not in tuple(Stage) or Stage(target) in MOVES[version.stage]
