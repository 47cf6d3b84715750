"""``policy``: the verbs that set what a stage asks for, show it, and judge versions by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.expression_error import print_expression_error
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.policy_file import policy_document, policy_text, read_policy
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import visible
from weighbridge.cli.transfer import FOUND_SOMETHING
from weighbridge.cli.units import counted, moment, rfc3339
from weighbridge.cli.verdict_documents import verdict_document
from weighbridge.cli.verdicts import print_verdict, why_failed
from weighbridge.core.errors import InvalidExpression
from weighbridge.core.policies import CheckedByPolicy, Policy, PolicyTerms


@click.group(short_help="Say what versions must fulfil to enter a stage.")
@global_options
def policy() -> None:
    """Say what versions must fulfil to enter a stage, or to be pointed at by an alias, by prefix of names.

    A policy is a YAML file: rules in CEL over candidate and incumbent, and approvals. The longest prefix that has one
    for the stage governs a model, and no other counts. One for development gates the push itself.

    \b
    Examples:
      weighbridge policy set fraud.vision production policy.yaml
      weighbridge policy get fraud.vision.resnet production
      weighbridge policy check fraud.vision.resnet production policy.yaml
    """


@policy.command("set", short_help="Set the policy of a model or prefix for a stage.")
@click.argument("prefix", metavar="MODEL_OR_PREFIX", shell_complete=complete_model)
@click.argument("stage", metavar="STAGE")
@click.argument("file", type=click.Path())
@click.option(
    "--expect",
    type=click.IntRange(min=0),
    metavar="REVISION",
    help="Refuse unless the policy is at this revision; 0: unless none was set.",
)
@global_options
@click.pass_context
@pass_options
def set_(
    options: GlobalOptions, context: click.Context, prefix: str, stage: str, file: str, expect: int | None
) -> None:
    """Make FILE the policy of MODEL_OR_PREFIX for STAGE, or for an alias; - reads standard input.

    It counts from now on; 'policy check' tells beforehand what it would say of the versions that are there. A file of
    {} asks for nothing.

    \b
    The file:
      rules:
        - name: better
          cel: candidate.metrics.accuracy >= incumbent.metrics.accuracy * 1.01
          message: accuracy must rise by 1 %
      approvals: {count: 1, role: approver}     # optional; needs serve --auth
      incumbent_missing: allow                  # or deny
      automatic: false                          # true: enters by itself

    \b
    Examples:
      weighbridge policy set fraud.vision production policy.yaml
      weighbridge policy set "*" development gate.yaml --expect 0
    """
    terms = read_policy(file)
    with options.connect() as client:
        try:
            made = client.set_policy(
                prefix,
                stage,
                terms.rules,
                approvals=terms.approvals,
                incumbent_missing=terms.incumbent_missing,
                automatic=terms.automatic,
                expected_revision=expect,
            )
        except InvalidExpression as error:
            _show_rules(options, context, terms, error)
    if options.json:
        print_json(_document(made))
    elif options.quiet:
        click.echo(made.revision)
    else:
        print_facts(_title(made), _facts(made))


@policy.command(short_help="Show the policy that governs a model or prefix.")
@click.argument("name", metavar="MODEL_OR_PREFIX", shell_complete=complete_model)
@click.argument("stage", metavar="STAGE")
@click.option("--revision", type=click.IntRange(min=1), metavar="N", help="That revision of exactly this prefix.")
@global_options
@pass_options
def get(options: GlobalOptions, name: str, stage: str, revision: int | None) -> None:
    """Show the policy that governs MODEL_OR_PREFIX for STAGE, or for an alias.

    With --quiet, the file alone, fit to be changed and set again.

    \b
    Examples:
      weighbridge policy get fraud.vision.resnet production
      weighbridge policy get -q fraud.vision production > policy.yaml
    """
    with options.connect() as client:
        shown = client.policy(name, stage, revision)
    if options.json:
        print_json(_document(shown))
        return
    if not options.quiet:
        print_facts(_title(shown), _facts(shown))
        click.echo()
    for line in policy_text(shown.terms).splitlines():
        click.echo(visible(line))


@policy.command("list", short_help="List the policies that are set.")
@click.argument("name", metavar="[MODEL_OR_PREFIX]", required=False, default="", shell_complete=complete_model)
@global_options
@pass_options
def list_(options: GlobalOptions, name: str) -> None:
    """List the policies that are set, or those that govern MODEL_OR_PREFIX.

    \b
    Examples:
      weighbridge policy list
      weighbridge policy list fraud.vision.resnet
    """
    with options.connect() as client:
        found = client.policies(name)
    if options.json:
        print_json({"policies": [_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(visible(f"{each.prefix} {each.target}"))
    elif not found:
        click.echo("no policy is set; 'weighbridge policy set MODEL_OR_PREFIX STAGE FILE' sets one")
    else:
        print_table(
            ["PREFIX", "STAGE", "REVISION", "RULES", "APPROVALS", "AUTOMATIC", "SET", "BY"],
            [_row(each) for each in found],
            right=["REVISION", "RULES"],
        )


@policy.command(short_help="Judge versions by a policy, before it is set.")
@click.argument("versions", metavar="TARGET", shell_complete=complete_model)
@click.argument("stage", metavar="STAGE")
@click.argument("file", required=False, type=click.Path())
@global_options
@click.pass_context
@pass_options
def check(options: GlobalOptions, context: click.Context, versions: str, stage: str, file: str | None) -> None:
    """Judge versions by the policy that governs them, or by the one in FILE, which is not set.

    TARGET is a reference to one version, or a model or prefix, whose versions are all judged. What held STAGE is judged
    against whom it displaced then, any other version against the present holder; approvals are left aside. Exits with
    3 when one would be refused. With --quiet, only the references of those are printed.

    \b
    Examples:
      weighbridge policy check fraud.vision.resnet production policy.yaml
      weighbridge policy check fraud.vision.resnet:8 production
    """
    terms = None if file is None else read_policy(file)
    with options.connect() as client:
        try:
            checked = list(client.check_policy(versions, stage, terms))
        except InvalidExpression as error:
            _show_rules(options, context, terms or PolicyTerms(), error)
    refused = [each for each in checked if not each.verdict.rules_passed]
    if options.json:
        print_json({"checked": [_checked_document(each) for each in checked], "ok": not refused})
    elif options.quiet:
        for each in refused:
            click.echo(visible(each.verdict.ref))
    else:
        _print_checked(versions, checked, refused)
    if refused:
        context.exit(FOUND_SOMETHING)


def _show_rules(options: GlobalOptions, context: click.Context, terms: PolicyTerms, error: InvalidExpression) -> None:
    """What is wrong with rules, under the place in each; returns never."""
    if options.json:
        raise error
    print_expression_error(error, {f"rules[{place}].cel": rule.cel for place, rule in enumerate(terms.rules)})
    context.exit(1)


def _title(shown: Policy) -> str:
    return f"policy of {shown.prefix} for {shown.target}"


def _facts(shown: Policy) -> list[tuple[str, str]]:
    facts = [("revision", str(shown.revision)), ("rules", str(len(shown.terms.rules)))]
    if shown.set_time is not None:
        facts.append(("set", f"{moment(shown.set_time)} by {shown.actor}"))
    return facts


def _row(shown: Policy) -> list[str]:
    needed = shown.terms.approvals
    return [
        shown.prefix,
        shown.target,
        str(shown.revision),
        str(len(shown.terms.rules)),
        "" if needed is None else f"{needed.count} {needed.role}",
        "yes" if shown.terms.automatic else "",
        "" if shown.set_time is None else moment(shown.set_time),
        shown.actor,
    ]


def _document(shown: Policy) -> dict[str, Any]:
    return {
        "prefix": shown.prefix,
        "target": shown.target,
        "revision": shown.revision,
        "actor": shown.actor,
        "set_time": None if shown.set_time is None else rfc3339(shown.set_time),
        "policy": policy_document(shown.terms),
    }


def _checked_document(checked: CheckedByPolicy) -> dict[str, Any]:
    return {**verdict_document(checked.verdict), "held": checked.held}


def _print_checked(target: str, checked: Sequence[CheckedByPolicy], refused: Sequence[CheckedByPolicy]) -> None:
    if len(checked) == 1:
        print_verdict(checked[0].verdict)
        return
    for each in refused:
        before = " (it was there)" if each.held else ""
        print_facts(f"{each.verdict.ref} would be refused{before}", why_failed(each.verdict))
    if not checked:
        click.echo(f"{visible(target)} has no versions yet")
    elif not refused:
        click.echo(f"{counted(len(checked), 'version')} judged, and none would be refused")
    else:
        click.echo(f"{counted(len(checked), 'version')} judged, {len(refused)} of them would be refused")
