"""``alias``: the verbs that set, remove and list aliases, and say where one pointed."""

from __future__ import annotations

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import alias_document, alias_move_document, print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import visible
from weighbridge.cli.times import parse_time
from weighbridge.cli.units import moment
from weighbridge.cli.version_number import version_number
from weighbridge.core.refs import alias_ref, parse_alias
from weighbridge.core.values import Alias, AliasMove


@click.group(short_help="Set, remove and list aliases, and say where one pointed.")
@global_options
def alias() -> None:
    """Names for versions, which may move: NAME@ALIAS is a reference like any other.

    production and staging are aliases too. 'weighbridge promote' and 'weighbridge rollback' move them.

    \b
    Examples:
      weighbridge alias set fraud.tabular.transformer@champion 7
      weighbridge pull fraud.tabular.transformer@champion
      weighbridge alias history fraud.tabular.transformer@production
    """


@alias.command("set", short_help="Point an alias at a version, or make it.")
@click.argument("name", metavar="NAME@ALIAS", shell_complete=complete_model)
@click.argument("version")
@click.option(
    "--expect",
    "expected",
    type=click.IntRange(min=0),
    metavar="REVISION",
    help="Only if this is its revision, as 'alias list' says it; 0: only if there is none.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why; its history keeps it.")
@global_options
@pass_options
def set_alias(options: GlobalOptions, name: str, version: str, expected: int | None, reason: str) -> None:
    """Point the alias NAME@ALIAS at VERSION, written 7 or NAME:7, or make it. With --quiet, only the reference.

    \b
    Examples:
      weighbridge alias set fraud.tabular.transformer@champion 7
      weighbridge alias set fraud.tabular.transformer@champion 8 --expect 41 \\
          --reason "better on cards"
    """
    model, word = parse_alias(name)
    number = version_number(version, model)
    with options.connect() as client:
        made = client.set_alias(model, word, number, expected_revision=expected, reason=reason)
    print_alias(options, made, "is")


@alias.command("rm", short_help="Remove an alias; its history stays.")
@click.argument("name", metavar="NAME@ALIAS", shell_complete=complete_model)
@click.option(
    "--expect", "expected", type=click.IntRange(min=1), metavar="REVISION", help="Only if this is its revision."
)
@click.option("--reason", default="", metavar="TEXT", help="Why; its history keeps it.")
@global_options
@pass_options
def remove(options: GlobalOptions, name: str, expected: int | None, reason: str) -> None:
    """Remove the alias NAME@ALIAS. Its version stays, and so does its history.

    \b
    Examples:
      weighbridge alias rm fraud.tabular.transformer@champion
    """
    model, word = parse_alias(name)
    with options.connect() as client:
        client.delete_alias(model, word, expected_revision=expected, reason=reason)
    if options.json:
        print_json({"model": model, "alias": word})
    elif not options.quiet:
        print_facts(f"removed {alias_ref(model, word)}", [])


@alias.command("list", short_help="List the aliases of a model.")
@click.argument("model", shell_complete=complete_model)
@global_options
@pass_options
def list_aliases(options: GlobalOptions, model: str) -> None:
    """List the aliases of MODEL, staging and production among them. With --quiet, only their names.

    \b
    Examples:
      weighbridge alias list fraud.tabular.transformer
      weighbridge alias list fraud.vision.resnet --json | jq '.aliases[].ref'
    """
    with options.connect() as client:
        found = client.aliases(model)
    if options.json:
        print_json({"aliases": [alias_document(item) for item in found]})
    elif options.quiet:
        for item in found:
            click.echo(visible(item.alias))
    elif not found:
        click.echo(f"no aliases yet; 'weighbridge alias set {visible(model)}@ALIAS VERSION' makes one")
    else:
        print_table(
            ["ALIAS", "VERSION", "REVISION", "MOVED", "BY", "REASON"],
            [
                [item.alias, item.ref, str(item.revision), moment(item.moved_time), item.actor, item.reason]
                for item in found
            ],
            right=["REVISION"],
            clipped=["REASON"],
        )


@alias.command(short_help="List where an alias pointed, or say where it did at a time.")
@click.argument("name", metavar="NAME@ALIAS", shell_complete=complete_model)
@click.option("--at", metavar="TIME", help="Where it pointed at this time: ISO 8601, local unless it says its zone.")
@global_options
@pass_options
def history(options: GlobalOptions, name: str, at: str | None) -> None:
    """List where the alias NAME@ALIAS pointed, the newest move first, or say where it did --at a time.

    With --quiet, only the references. An alias that was removed has its history still.

    \b
    Examples:
      weighbridge alias history fraud.tabular.transformer@production
      weighbridge alias history fraud.vision.resnet@production --at 2026-11-17
    """
    time = parse_time("--at", at)
    parse_alias(name)
    with options.connect() as client:
        moves = list(client.alias_history(name, at=time))
    if options.json:
        print_json({"moves": [alias_move_document(move) for move in moves]})
    elif options.quiet:
        for move in moves:
            if move.ref:
                click.echo(visible(move.ref))
    elif time is not None:
        _print_then(name, time.isoformat(), moves)
    else:
        print_table(
            ["REVISION", "TIME", "FROM", "TO", "ACTION", "BY", "REASON"],
            [
                [
                    str(move.revision),
                    move.time.astimezone().isoformat(),  # whole: what is copied to --at finds this move
                    move.previous_ref or "-",
                    move.ref or "-",
                    move.action.partition(".")[2],
                    move.actor,
                    move.reason,
                ]
                for move in moves
            ],
            right=["REVISION"],
            clipped=["REASON"],
        )


def print_alias(options: GlobalOptions, moved: Alias, how: str) -> None:
    """An alias that was moved; ``how`` stands between its name and where it points."""
    if options.json:
        print_json(alias_document(moved))
    elif options.quiet:
        click.echo(visible(moved.ref))
    else:
        facts = [("revision", str(moved.revision)), ("before", moved.previous_ref), ("reason", moved.reason)]
        title = f"{alias_ref(moved.model, moved.alias)} {how} {moved.ref}"
        print_facts(title, [(name, value) for name, value in facts if value])


def _print_then(name: str, time: str, moves: list[AliasMove]) -> None:
    if not moves or not moves[0].ref:
        click.echo(f"{visible(name)} pointed nowhere at {time}")
        return
    (move,) = moves
    facts = [
        ("since", move.time.astimezone().isoformat()),
        ("by", move.actor),
        ("action", move.action),
        ("reason", move.reason),
        ("revision", str(move.revision)),
    ]
    print_facts(f"{name} was {move.ref} at {time}", [(fact, value) for fact, value in facts if value])
