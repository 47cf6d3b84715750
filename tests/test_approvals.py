"""Approvals: who may give them, what they bind to, and what they let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import weighbridge as wb
from auth_fixtures import AskingWho, asking
from conftest import Ran, RunCli
from raw_client import RawClient, refused
from weighbridge.v1 import policies_pb2

ACCURATE = wb.PolicyRule("accurate", "candidate.metrics.accuracy > 0.5")

__all__ = ["asking"]


@dataclass
class Case:
    """A model whose production needs one approval, and asking."""

    model: str
    trainer: wb.Client
    approver: wb.Client
    maintainer: wb.Client
    file: Path

    def staged(self, accuracy: float = 0.9) -> str:
        """A version in staging."""
        self.file.write_bytes(repr(accuracy).encode())
        ref = self.trainer.push(self.model, self.file, metrics={"accuracy": accuracy}).version.ref
        self.trainer.promote(ref, "staging")
        return ref

    def asked(self) -> str:
        """A version for which approval was asked."""
        ref = self.staged()
        with pytest.raises(wb.ApprovalNeeded):
            self.maintainer.promote(ref, "production", reason="it is better")
        return ref

    def request(self, *, closed: bool = False) -> wb.ApprovalRequest:
        """The only request."""
        (request,) = self.trainer.approval_requests(self.model, closed=closed)
        return request


@pytest.fixture
def case(asking: AskingWho, new_model: Callable[[], str], tmp_path: Path) -> Case:
    model = new_model()
    trainer, approver, maintainer = (asking.somebody((role, "*")) for role in ("contributor", "approver", "maintainer"))
    maintainer.set_policy(model, "production", [ACCURATE], approvals=wb.ApprovalsNeeded(1))
    return Case(model, trainer, approver, maintainer, tmp_path / "weights.bin")


def name(client: wb.Client) -> str:
    return client.whoami().actor


def test_promote_asks_an_approver_approves_and_promote_moves(case: Case) -> None:
    ref = case.staged()
    with pytest.raises(wb.ApprovalNeeded) as refusal:
        case.maintainer.promote(ref, "production", reason="it is better")
    assert refusal.value.details == {"needed": "1", "given": "0", "role": "approver"}
    assert f"weighbridge approve {ref} production" in refusal.value.message

    (waiting,) = case.approver.approval_requests(case.model, waiting_for_me=True)
    assert (waiting.ref, waiting.target, waiting.state, waiting.comment) == (ref, "production", "open", "it is better")
    assert waiting.requester == name(case.maintainer)
    approved = case.approver.approve(
        ref, "production", comment="shadow metrics agree", record_digest=waiting.record_digest
    )
    assert approved.state == "approved"
    assert [(one.actor, one.comment) for one in approved.approvals] == [(name(case.approver), "shadow metrics agree")]
    assert list(case.approver.approval_requests(case.model, waiting_for_me=True)) == []

    promoted = case.maintainer.promote(ref, "production")
    assert promoted.version.stage == "production"
    assert promoted.verdict is not None
    assert promoted.verdict.approvals is not None
    assert [one.actor for one in promoted.verdict.approvals.given] == [name(case.approver)]
    assert case.request(closed=True).state == "done"
    assert list(case.trainer.approval_requests(case.model)) == []
    events = case.trainer.events(resource=ref, action="approval.")
    assert [(event.action, event.actor) for event in events] == [
        ("approval.requested", name(case.maintainer)),
        ("approval.approved", name(case.approver)),
    ]


def test_neither_the_requester_nor_the_creator_approves(case: Case, asking: AskingWho) -> None:
    ref = case.asked()
    with pytest.raises(wb.PermissionDenied) as refusal:
        case.maintainer.approve(ref, "production")
    assert [violation.path for violation in refusal.value.violations] == ["requester"]

    both = asking.somebody(("maintainer", "*"))
    case.file.write_bytes(b"by a maintainer")
    made = both.push(case.model, case.file, metrics={"accuracy": 0.9}).version.ref
    both.promote(made, "staging")
    with pytest.raises(wb.ApprovalNeeded):
        case.maintainer.promote(made, "production")
    with pytest.raises(wb.PermissionDenied) as refusal:
        both.approve(made, "production")
    assert [violation.path for violation in refusal.value.violations] == ["creator"]
    assert case.approver.approve(made, "production").state == "approved"


def test_who_lacks_the_role_does_not_approve(case: Case, asking: AskingWho) -> None:
    ref = case.asked()
    for client in (asking.somebody(("contributor", "*")), asking.somebody(("approver", "elsewhere"))):
        with pytest.raises(wb.PermissionDenied):
            client.approve(ref, "production")
    for_production = asking.somebody(("approver", f"{case.model}@production"))
    assert for_production.approve(ref, "production").state == "approved"


def test_so_many_people_approve_as_the_policy_asks_for(case: Case, asking: AskingWho) -> None:
    case.maintainer.set_policy(case.model, "production", [ACCURATE], approvals=wb.ApprovalsNeeded(2))
    ref = case.asked()
    assert case.approver.approve(ref, "production").state == "open"
    with pytest.raises(wb.WrongState, match="you approved it already"):
        case.approver.approve(ref, "production")
    with pytest.raises(wb.ApprovalNeeded) as refusal:
        case.maintainer.promote(ref, "production")
    assert refusal.value.details["given"] == "1"
    assert asking.somebody(("approver", "*")).approve(ref, "production").state == "approved"
    with pytest.raises(wb.WrongState, match="all its approvals"):
        asking.somebody(("approver", "*")).approve(ref, "production")
    assert case.maintainer.promote(ref, "production").version.stage == "production"


def test_what_is_rejected_stays_so_until_somebody_asks_anew(case: Case) -> None:
    ref = case.asked()
    rejected = case.approver.reject(ref, "production", comment="measured on the wrong machine")
    assert rejected.state == "rejected"
    with pytest.raises(wb.ApprovalNeeded, match="measured on the wrong machine") as refusal:
        case.maintainer.promote(ref, "production")
    assert refusal.value.details["rejected_by"] == name(case.approver)
    assert case.request().state == "rejected"
    with pytest.raises(wb.WrongState, match="rejected it"):
        case.approver.approve(ref, "production")
    assert case.maintainer.request_approval(ref, "production", comment="measured again").state == "open"
    assert case.approver.approve(ref, "production").state == "approved"
    assert case.maintainer.promote(ref, "production").version.stage == "production"


@pytest.mark.parametrize("what", ["a tag", "a metric", "the policy", "the incumbent"])
def test_an_approval_is_void_when_what_was_judged_changes(case: Case, what: str) -> None:
    ref = case.asked()
    seen = case.request().record_digest
    case.approver.approve(ref, "production")
    if what == "a tag":
        case.trainer.update_version(ref, set_tags={"reviewed": False})
    elif what == "a metric":
        case.trainer.log_metrics(ref, [wb.MetricPoint("accuracy", 0.6, 1)])
    elif what == "the policy":
        case.maintainer.set_policy(
            case.model, "production", [ACCURATE], approvals=wb.ApprovalsNeeded(1), incumbent_missing="deny"
        )
    else:
        case.maintainer.set_policy(case.model, "production", [ACCURATE])
        case.trainer.promote(ref, "development")
        case.maintainer.promote(case.staged(0.8), "production")
        case.maintainer.set_policy(case.model, "production", [ACCURATE], approvals=wb.ApprovalsNeeded(1))
        case.trainer.promote(ref, "staging")
    with pytest.raises(wb.ApprovalNeeded) as refusal:
        case.maintainer.promote(ref, "production")
    assert refusal.value.details["given"] == "0"
    request = case.request()
    assert (request.state, request.outdated) == ("open", 1)
    if what in {"a tag", "a metric"}:
        with pytest.raises(wb.RevisionConflict) as conflict:
            case.approver.approve(ref, "production", record_digest=seen)
        assert conflict.value.details["value"] == request.record_digest
    assert case.approver.approve(ref, "production", record_digest=request.record_digest).state == "approved"
    assert case.maintainer.promote(ref, "production").version.stage == "production"


def test_nobody_approves_what_nobody_asked_for_or_what_needs_none(case: Case) -> None:
    ref = case.staged()
    with pytest.raises(wb.WrongState, match="nobody asked"):
        case.approver.approve(ref, "production")
    with pytest.raises(wb.WrongState, match="no policy asks for approvals"):
        case.approver.approve(ref, "archived")
    with pytest.raises(wb.WrongState, match="no policy asks for approvals"):
        case.maintainer.request_approval(ref, "development")


def test_what_fails_a_rule_is_not_asked_for(case: Case) -> None:
    ref = case.staged(0.1)
    with pytest.raises(wb.PolicyRefused):
        case.maintainer.promote(ref, "production")
    with pytest.raises(wb.PolicyRefused):
        case.maintainer.request_approval(ref, "production")
    assert list(case.trainer.approval_requests(case.model)) == []


def test_a_dry_run_asks_nobody(case: Case) -> None:
    verdict = case.maintainer.promote(case.staged(), "production", dry_run=True).verdict
    assert verdict is not None
    assert (verdict.rules_passed, verdict.passed) == (True, False)
    assert list(case.trainer.approval_requests(case.model)) == []


def test_under_an_automatic_policy_the_last_approval_lets_it_in(case: Case) -> None:
    case.maintainer.set_policy(case.model, "production", [ACCURATE], approvals=wb.ApprovalsNeeded(1), automatic=True)
    case.maintainer.set_policy(case.model, "staging", [ACCURATE], automatic=True)
    case.file.write_bytes(b"weights")
    ref = case.trainer.push(case.model, case.file, metrics={"accuracy": 0.9}).version.ref
    assert case.trainer.version(ref).stage == "staging"
    assert case.request().requester == name(case.trainer)
    assert case.approver.approve(ref, "production").state == "done"
    assert case.trainer.version(ref).stage == "production"


def test_who_approved_one_stage_may_approve_the_next_that_asks_by_itself(case: Case) -> None:
    for stage in ("staging", "production"):
        case.maintainer.set_policy(case.model, stage, [ACCURATE], approvals=wb.ApprovalsNeeded(1), automatic=True)
    case.file.write_bytes(b"weights")
    ref = case.trainer.push(case.model, case.file, metrics={"accuracy": 0.9}).version.ref
    assert case.approver.approve(ref, "staging").state == "done"
    assert case.request().requester == name(case.trainer)
    assert case.approver.approve(ref, "production").state == "done"
    assert case.trainer.version(ref).stage == "production"


def test_a_protected_alias_asks_too(case: Case, run_cli: RunCli) -> None:
    case.maintainer.set_policy(case.model, "champion", [ACCURATE], approvals=wb.ApprovalsNeeded(1))
    ref = case.staged()
    with pytest.raises(wb.ApprovalNeeded):
        case.maintainer.set_alias(case.model, "champion", 1)
    case.approver.reject(ref, "champion", comment="not yet")
    with pytest.raises(wb.ApprovalNeeded, match=f"weighbridge promote {ref} champion --request"):
        case.maintainer.set_alias(case.model, "champion", 1)
    case.maintainer.request_approval(ref, "champion")
    case.approver.approve(ref, "champion")
    with pytest.raises(wb.WrongState, match=f"weighbridge alias set {case.model}@champion 1"):
        case.maintainer.approve(ref, "champion")
    assert case.maintainer.set_alias(case.model, "champion", 1).ref == ref
    with pytest.raises(wb.WrongState, match=r"points at .* already"):
        case.maintainer.request_approval(ref, "champion")


def test_an_alias_that_is_rolled_back_ends_the_request_for_whom_it_goes_back_to(case: Case) -> None:
    first, second = case.staged(0.8), case.staged(0.9)
    for version in (1, 2):
        case.maintainer.set_alias(case.model, "champion", version)
    case.maintainer.set_policy(case.model, "champion", [ACCURATE], approvals=wb.ApprovalsNeeded(1))
    case.trainer.request_approval(first, "champion")
    assert case.maintainer.rollback(f"{case.model}@champion", reason="worse than it looked").previous_ref == second
    assert list(case.trainer.approval_requests(case.model)) == []


def test_what_was_displaced_meanwhile_waits_for_nobody(case: Case) -> None:
    ref = case.asked()
    case.staged(0.95)
    assert case.trainer.version(ref).stage == "development"
    assert list(case.approver.approval_requests(case.model, waiting_for_me=True)) == []
    with pytest.raises(wb.WrongState, match="it is in development, from where nothing goes to production"):
        case.approver.approve(ref, "production")
    case.trainer.promote(ref, "staging")
    assert case.approver.approve(ref, "production").state == "approved"


def test_requests_come_in_pages_without_what_waits_for_somebody_else(case: Case, asking: AskingWho) -> None:
    displaced = case.asked()
    waiting = [case.asked()]
    for _ in range(2):
        case.file.write_bytes(waiting[-1].encode())
        ref = case.trainer.push(case.model, case.file, metrics={"accuracy": 0.9}).version.ref
        case.maintainer.set_policy(case.model, alias := f"best-{ref[-1]}", [ACCURATE], approvals=wb.ApprovalsNeeded(1))
        case.trainer.request_approval(ref, alias)
        waiting.append(ref)
    assert [one.ref for one in case.approver.approval_requests(case.model)] == [displaced, *waiting]

    request = policies_pb2.ListApprovalRequestsRequest(model=case.model, waiting_for_me=True, page_size=1)
    token = (("authorization", f"Bearer {asking.token(('approver', '*')).text}"),)
    found = []
    with RawClient(asking.server.address) as raw:
        while True:
            page = raw.lifecycle.ListApprovalRequests(request, metadata=token)
            found.append([one.ref for one in page.requests])
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        request.page_token = "of another list"
        refusal = refused(lambda: raw.lifecycle.ListApprovalRequests(request, metadata=token))
    assert [ref for refs in found for ref in refs] == waiting
    assert found[:3] == [[ref] for ref in waiting]
    assert refusal.reason == "INVALID_REQUEST"


def test_what_one_made_oneself_does_not_wait_for_oneself(case: Case) -> None:
    case.file.write_bytes(b"by the approving maintainer")
    ref = case.maintainer.push(case.model, case.file, metrics={"accuracy": 0.9}).version.ref
    case.maintainer.promote(ref, "staging")
    with pytest.raises(wb.PermissionDenied):
        case.trainer.promote(ref, "production")
    case.maintainer.set_policy(case.model, "champion", [ACCURATE], approvals=wb.ApprovalsNeeded(1))
    case.trainer.request_approval(ref, "champion")
    assert list(case.maintainer.approval_requests(case.model, waiting_for_me=True)) == []
    assert [one.ref for one in case.approver.approval_requests(case.model, waiting_for_me=True)] == [ref]


def test_a_request_that_is_sent_again_when_nothing_asks_any_more_says_so(case: Case, asking: AskingWho) -> None:
    request = policies_pb2.RequestApprovalRequest(request_id="again", ref=case.staged(), target="production")
    token = (("authorization", f"Bearer {asking.token(('contributor', '*')).text}"),)
    with RawClient(asking.server.address) as raw:
        raw.lifecycle.RequestApproval(request, metadata=token)
        case.maintainer.set_policy(case.model, "production", [ACCURATE])
        refusal = refused(lambda: raw.lifecycle.RequestApproval(request, metadata=token))
    assert refusal.reason == "WRONG_STATE"


@pytest.mark.parametrize("text", ["\udcff", "a\0b", "x" * 1025])
def test_a_comment_that_cannot_be_kept_is_refused(case: Case, text: str) -> None:
    ref = case.asked()
    with pytest.raises(wb.InvalidRequest, match="the comment cannot be taken"):
        case.approver.approve(ref, "production", comment=text)
    with pytest.raises(wb.InvalidRequest):
        case.approver.reject(ref, "production", comment=text)
    with pytest.raises(wb.InvalidRequest):
        case.trainer.request_approval(ref, "production", comment=text)


@pytest.mark.long
def test_the_verbs_of_people_who_approve(
    case: Case,
    asking: AskingWho,
    run_cli: RunCli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = case.staged()
    roles = {"maintainer-at-work": "maintainer", "approver-at-work": "approver"}
    tokens = {name: asking.token((role, "*"), name=name).text for name, role in roles.items()}

    def run(name: str, *arguments: str) -> Ran:
        monkeypatch.setenv("WEIGHBRIDGE_TOKEN", tokens[name])
        return run_cli(*arguments, address=asking.server.address)

    ran = run("maintainer-at-work", "promote", ref, "production")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: APPROVAL_NEEDED: ")
    ran = run("approver-at-work", "requests", case.model, "--mine")
    assert (ran.code, ref in ran.out, "0 of 1 (approver)" in ran.out) == (0, True, True)
    assert run("approver-at-work", "reject", ref, "production").code == 2
    ran = run("approver-at-work", "reject", ref, "production", "--comment", "too slow")
    assert (ran.code, "rejected" in ran.out) == (0, True)
    ran = run("maintainer-at-work", "promote", ref, "production", "--request", "--reason", "faster now")
    assert (ran.code, "open" in ran.out) == (0, True)
    ran = run("approver-at-work", "approve", ref, "production", "--json")
    assert (ran.code, ran.json["state"]) == (0, "approved")
    ran = run("maintainer-at-work", "promote", ref, "production")
    assert (ran.code, "1 of 1 (approver) by approver-at-work" in ran.out) == (0, True)
