"""``requests``, ``approve`` and ``reject``: the verbs of people who approve."""

from __future__ import annotations

from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import one_line, visible
from weighbridge.cli.units import moment, rfc3339
from weighbridge.cli.verdict_documents import approval_document
from weighbridge.core.policies import ApprovalRequest


@click.command(short_help="List what waits for approval.")
@click.argument("model", required=False, default="", shell_complete=complete_model)
@click.option("--mine", is_flag=True, help="Only what waits for an answer that you may give.")
@click.option("--all", "closed", is_flag=True, help="Those that are done or rejected too.")
@global_options
@pass_options
def requests(options: GlobalOptions, model: str, mine: bool, closed: bool) -> None:
    """List the versions that wait for approval, of MODEL or of all, the oldest first.

    'promote' asks for approval where a policy needs it and all its rules pass. With --quiet, references and stages
    alone.

    \b
    Examples:
      weighbridge requests --mine
      weighbridge requests fraud.vision.resnet --all
    """
    with options.connect() as client:
        found = list(client.approval_requests(model, waiting_for_me=mine, closed=closed))
    if options.json:
        print_json({"requests": [request_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(visible(f"{each.ref} {each.target}"))
    elif not found:
        click.echo("nothing waits for your approval" if mine else "nothing waits for approval")
    else:
        print_table(
            ["VERSION", "STAGE", "STATE", "APPROVALS", "ASKED", "BY", "WHY"],
            [_row(each) for each in found],
        )


@click.command(short_help="Approve a version for a stage.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("stage", metavar="STAGE")
@click.option("--comment", default="", metavar="TEXT", help="The journal keeps it.")
@click.option(
    "--digest", default="", metavar="DIGEST", help="Only if this is still what is judged; 'requests --json' has it."
)
@global_options
@pass_options
def approve(options: GlobalOptions, ref: str, stage: str, comment: str, digest: str) -> None:
    """Approve the version REF for STAGE, or for an alias.

    It counts for what is there now: when the policy, the holder of the stage, a tag or a metric changes, it counts no
    more. Who asked for it or made the version cannot approve it.

    \b
    Examples:
      weighbridge approve fraud.vision.resnet:8 production
      weighbridge approve fraud.vision.resnet:8 production \\
          --comment "offline and shadow metrics agree"
    """
    with options.connect() as client:
        answered = client.approve(ref, stage, comment=comment, record_digest=digest)
    _print_answered(options, answered)


@click.command(short_help="Reject a version for a stage.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("stage", metavar="STAGE")
@click.option("--comment", "--reason", required=True, metavar="TEXT", help="Why; the journal keeps it.")
@global_options
@pass_options
def reject(options: GlobalOptions, ref: str, stage: str, comment: str) -> None:
    """Reject the version REF for STAGE, or for an alias, with a reason.

    It stays rejected until somebody asks anew ('promote --request') or what was judged changes.

    \b
    Examples:
      weighbridge reject fraud.vision.resnet:8 production \\
          --comment "latency was measured on the wrong machine"
    """
    with options.connect() as client:
        answered = client.reject(ref, stage, comment=comment)
    _print_answered(options, answered)


def request_document(request: ApprovalRequest) -> dict[str, Any]:
    """A request for approval as JSON."""
    return {
        "ref": request.ref,
        "target": request.target,
        "state": str(request.state),
        "requester": request.requester,
        "requested_time": rfc3339(request.requested_time),
        "comment": request.comment,
        "needed": request.needed.count,
        "role": str(request.needed.role),
        "approvals": [approval_document(one) for one in request.approvals],
        "rejection": None if request.rejection is None else approval_document(request.rejection),
        "outdated": request.outdated,
        "policy": {"prefix": request.policy_prefix, "revision": request.policy_revision},
        "record_digest": request.record_digest,
    }


def print_request(title: str, request: ApprovalRequest) -> None:
    """How a request stands."""
    facts = [("state", str(request.state)), ("approvals", _count(request))]
    if request.rejection is not None:
        facts.append(("rejected", one_line(f"by {request.rejection.actor}: {request.rejection.comment}")))
    print_facts(title, facts)


def _print_answered(options: GlobalOptions, request: ApprovalRequest) -> None:
    if options.json:
        print_json(request_document(request))
    elif options.quiet:
        click.echo(str(request.state))
    else:
        print_request(f"{request.ref} for {request.target}", request)


def _count(request: ApprovalRequest) -> str:
    by = f" by {', '.join(one.actor for one in request.approvals)}" if request.approvals else ""
    outdated = f"; {request.outdated} outdated" if request.outdated else ""
    return f"{len(request.approvals)} of {request.needed.count} ({request.needed.role}){by}{outdated}"


def _row(request: ApprovalRequest) -> list[str]:
    return [
        request.ref,
        request.target,
        str(request.state),
        _count(request),
        moment(request.requested_time),
        request.requester,
        one_line(request.comment),
    ]
