"""``promote`` and ``rollback``: the verbs that move versions through their stages."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from weighbridge.cli.alias import print_alias
from weighbridge.cli.approvals import print_request, request_document
from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import error_document, print_json, promotion_document
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts
from weighbridge.cli.text import one_line, visible
from weighbridge.cli.transfer import FOUND_SOMETHING
from weighbridge.cli.verdicts import print_verdict
from weighbridge.cli.version_number import version_number
from weighbridge.core.errors import RevisionConflict, WrongState
from weighbridge.core.policies import ApprovalRequest
from weighbridge.core.promotion import Promotion
from weighbridge.core.refs import parse_alias, parse_ref
from weighbridge.core.values import Stage

_STAGES = [str(stage) for stage in Stage]


def _complete_stage(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return click.Choice(_STAGES).shell_complete(context, parameter, incomplete)


@click.command(short_help="Move a version to a stage.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("stage", shell_complete=_complete_stage)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing; exits with 3 if refused.")
@click.option("--reason", default="", metavar="TEXT", help="Why; the journal keeps it.")
@click.option(
    "--expect",
    "expected",
    type=click.IntRange(min=0),
    metavar="REVISION",
    help="Only if this is the revision of the stage's alias, as 'alias list' says it; 0: if there is none.",
)
@click.option(
    "--request",
    is_flag=True,
    help="Only ask for the approvals that it needs, anew if it was rejected; STAGE may be an alias.",
)
@global_options
@click.pass_context
@pass_options
def promote(
    options: GlobalOptions,
    context: click.Context,
    ref: str,
    stage: str,
    dry_run: bool,
    reason: str,
    expected: int | None,
    request: bool,
) -> None:
    """Move the version REF to STAGE. With --quiet, only its reference.

    From development a version goes to staging, from there to production, and from there to archived. Back it may go
    from staging to development, from development to archived, from archived to development. Staging and production
    hold one version each: what enters displaces who is there, from staging to development, from production to
    archived, in the same moment. Where a policy governs STAGE, its rules decide, and the approvals that it needs are
    asked for; --dry-run shows each rule with the values that it saw.

    \b
    Examples:
      weighbridge promote fraud.tabular.transformer:8 staging
      weighbridge promote fraud.vision.resnet@staging production --dry-run
      weighbridge promote fraud.vision.resnet@staging production \\
          --reason "won the A/B test"
    """
    parse_ref(ref)
    if request:
        if dry_run or expected is not None:
            raise click.UsageError("--request only asks; --dry-run and --expect are of a promotion")
        with options.connect() as client:
            _print_request(options, client.request_approval(ref, stage, comment=reason))
        return
    if stage not in _STAGES:
        what = f"{stage!r} is not one of {', '.join(map(repr, _STAGES))}"
        raise click.BadParameter(f"{what}; 'alias set' moves an alias", param_hint="'STAGE'")
    with options.connect() as client:
        try:
            made = client.promote(ref, stage, reason=reason, dry_run=dry_run, expected_revision=expected)
        except (WrongState, RevisionConflict) as refusal:
            if not dry_run:
                raise
            _print_refusal(options, ref, stage, refusal)
            context.exit(FOUND_SOMETHING)
    refused = made.verdict is not None and not made.verdict.passed
    if options.json:
        print_json({**promotion_document(made), **({"dry_run": True} if dry_run else {})})
    elif made.verdict is not None and refused:
        if not options.quiet:
            print_verdict(made.verdict)
    elif options.quiet:
        click.echo(visible(made.version.ref))
    else:
        _print_made(made, dry_run=dry_run)
    if refused:
        context.exit(FOUND_SOMETHING)


@click.command(short_help="Give an alias or a stage back to the version that held it before.")
@click.argument("name", metavar="NAME@ALIAS", shell_complete=complete_model)
@click.option("--reason", required=True, metavar="TEXT", help="Why; the history keeps it.")
@click.option("--to", metavar="VERSION", help="A version that held it before, written 7 or NAME:7; default: the last.")
@click.option(
    "--expect",
    "expected",
    type=click.IntRange(min=0),
    metavar="REVISION",
    help="Only if this is its revision, as 'alias list' says it.",
)
@global_options
@pass_options
def rollback(options: GlobalOptions, name: str, reason: str, to: str | None, expected: int | None) -> None:
    """Give NAME@ALIAS back to the last version that held it and was not itself rolled back from.

    A second rollback goes further back. What is left goes from production to archived, from staging to development.
    Refused where the version was deleted or has damaged chunks. With --quiet, only the reference.

    \b
    Examples:
      weighbridge rollback fraud.vision.resnet@production \\
          --reason "declines doubled"
      weighbridge rollback fraud.vision.resnet@production --to 5 \\
          --reason "the last good one"
    """
    model, _ = parse_alias(name)
    number = None if to is None else version_number(to, model)
    with options.connect() as client:
        restored = client.rollback(name, reason=reason, to=number, expected_revision=expected)
    print_alias(options, restored, "is back at")


def _print_made(made: Promotion, *, dry_run: bool) -> None:
    displaced = f"{made.displaced_ref}, which {'would go' if dry_run else 'went'} to {made.displaced_stage}"
    facts = [("displaced", displaced)] if made.displaced_ref else []
    if not dry_run:
        facts.append(("revision", str(made.revision)))
    print_facts(f"{made.version.ref} {'would be' if dry_run else 'is'} in {made.version.stage}", facts)
    if made.verdict is not None:
        print_verdict(made.verdict)


def _print_request(options: GlobalOptions, asked: ApprovalRequest) -> None:
    if options.json:
        print_json(request_document(asked))
    elif options.quiet:
        click.echo(str(asked.state))
    else:
        print_request(f"{asked.ref} for {asked.target}", asked)


def _print_refusal(options: GlobalOptions, ref: str, stage: str, refusal: WrongState | RevisionConflict) -> None:
    """What a dry run found: a result, not a failure, so that it stands on standard output."""
    if options.json:
        print_json({"ref": ref, "stage": stage, "dry_run": True, **error_document(refusal)})
        return
    if not options.quiet:
        facts = [(refusal.reason, one_line(refusal.message))]
        facts += [(violation.path, one_line(violation.message)) for violation in refusal.violations]
        print_facts(f"{ref} would be refused {stage}", facts)
