"""``principal`` and ``whoami``: who may call, and who does."""

from __future__ import annotations

from typing import Any

import click

from weighbridge.cli.documents import print_json
from weighbridge.cli.grant import grant_document, print_grants
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import visible
from weighbridge.cli.units import day, rfc3339
from weighbridge.core.principals import Principal


@click.group(short_help="List who may call, and shut somebody out.")
@global_options
def principal() -> None:
    """List the people and services that may call, and shut one out. 'weighbridge token create' adds one.

    \b
    Examples:
      weighbridge principal list
      weighbridge principal disable alice
    """


@principal.command("list", short_help="List principals.")
@global_options
@pass_options
def list_(options: GlobalOptions) -> None:
    """List principals, disabled ones too.

    \b
    Examples:
      weighbridge principal list
      weighbridge principal list -q     # names alone
    """
    with options.connect() as client:
        found = list(client.principals())
    if options.json:
        print_json({"principals": [principal_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(visible(each.name))
    else:
        print_table(
            ["NAME", "KIND", "STATE", "SINCE", "BY", "DESCRIPTION"],
            [
                [each.name, str(each.kind), _state(each), day(each.created_time), each.creator, each.description]
                for each in found
            ],
            clipped=["DESCRIPTION"],
        )


@principal.command(short_help="End all tokens of a principal.")
@click.argument("name")
@global_options
@pass_options
def disable(options: GlobalOptions, name: str) -> None:
    """End all tokens of the principal NAME for good, and let it have no others. The journal keeps its name.

    \b
    Examples:
      weighbridge principal disable alice
    """
    with options.connect() as client:
        _show(options, client.disable_principal(name))


@principal.command(short_help="Let a disabled principal have tokens again.")
@click.argument("name")
@global_options
@pass_options
def enable(options: GlobalOptions, name: str) -> None:
    """Let the disabled principal NAME have tokens again; those that it had stay revoked.

    \b
    Examples:
      weighbridge principal enable alice
    """
    with options.connect() as client:
        _show(options, client.enable_principal(name))


@click.command(short_help="Say who you are to the server, and what you may do.")
@global_options
@pass_options
def whoami(options: GlobalOptions) -> None:
    """Say who you are to the server, and what you may do there.

    \b
    Examples:
      weighbridge whoami
      weighbridge whoami --json
    """
    with options.connect() as client:
        found = client.whoami()
    if options.json:
        print_json(
            {
                "actor": found.actor,
                "authenticated": found.authenticated,
                "kind": None if found.kind is None else str(found.kind),
                "token_id": found.token_id,
                "grants": [grant_document(each) for each in found.grants],
            }
        )
    elif options.quiet:
        click.echo(visible(found.actor))
    elif not found.authenticated:
        print_facts(found.actor, [("may do", "anything, as anybody may: the server was started without --auth")])
    else:
        print_facts(found.actor, [("kind", str(found.kind)), ("token", found.token_id)])
        if found.grants:
            click.echo()
            print_grants(found.grants)
        else:
            click.echo("  may do    nothing yet: an admin grants roles with 'weighbridge grant add'")


def principal_document(each: Principal) -> dict[str, Any]:
    """A principal as JSON."""
    return {
        "name": each.name,
        "kind": str(each.kind),
        "description": each.description,
        "created_time": rfc3339(each.created_time),
        "creator": each.creator,
        "disabled_time": None if each.disabled_time is None else rfc3339(each.disabled_time),
        "disabled_by": each.disabled_by,
    }


def _show(options: GlobalOptions, each: Principal) -> None:
    if options.json:
        print_json(principal_document(each))
    elif options.quiet:
        click.echo(visible(each.name))
    else:
        click.echo(f"{visible(each.name)} is {_state(each)}")


def _state(each: Principal) -> str:
    return "enabled" if each.disabled_time is None else "disabled"
