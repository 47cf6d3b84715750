"""``token``: the verbs that make, list and end tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import visible
from weighbridge.cli.units import day, moment, rfc3339
from weighbridge.client import Client
from weighbridge.core.errors import PrincipalExists, UsageError
from weighbridge.core.principals import DESCRIPTION_CHARS, LONGEST_TTL_S, NewToken, PrincipalKind, Token
from weighbridge.core.text_check import checked_text

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TTL = re.compile(r"([0-9]{1,9})([smhd])")


@click.group(short_help="Make, list and end the tokens that prove who calls.")
@global_options
def token() -> None:
    """Make, list and end the tokens that prove who calls.

    A server started with --auth asks every call for one. It takes the role admin on * to make them.

    \b
    Examples:
      weighbridge token create alice --description "Alice's laptop"
      weighbridge token list
      weighbridge token revoke 5f0c2b7a91d34e68
    """


@token.command(short_help="Make a token, and its principal where it is new.")
@click.argument("principal")
@click.option("--service", is_flag=True, help="A new principal is a service, and not a person.")
@click.option("--description", default="", metavar="TEXT", help="Where it is used.")
@click.option("--ttl", metavar="TIME", help="How long it works: 90d, 12h, 30m; by default until it is revoked.")
@global_options
@pass_options
def create(options: GlobalOptions, principal: str, service: bool, description: str, ttl: str | None) -> None:
    """Make a token for PRINCIPAL, who is added where there is no one of that name.

    It is shown now and never again: the server keeps a hash of it. With --quiet, the token alone. A new principal may
    do nothing yet: 'weighbridge grant add' says what it may.

    \b
    Examples:
      weighbridge token create alice
      weighbridge token create ci-fraud --service --ttl 90d \\
          --description "nightly training"
      weighbridge token create -q eu-7 --service > token
    """
    ttl_s = _seconds(ttl)
    kind = PrincipalKind.SERVICE if service else PrincipalKind.PERSON
    checked_text("description", description, most_chars=DESCRIPTION_CHARS)  # before anybody is added
    with options.connect() as client:
        added = _added(client, principal, kind)
        made = client.create_token(principal, description=description, ttl_s=ttl_s)
    if options.json:
        print_json({**token_document(made.token), "token": made.text, "principal_created": added})
    elif options.quiet:
        click.echo(visible(made.text))
    else:
        _print_made(made, added=added)


@token.command("list", short_help="List tokens, without what they prove.")
@click.argument("principal", required=False, default="")
@global_options
@pass_options
def list_(options: GlobalOptions, principal: str) -> None:
    """List the tokens of PRINCIPAL, or all; those that do not work any more too.

    \b
    Examples:
      weighbridge token list
      weighbridge token list alice
      weighbridge token list -q alice     # ids alone
    """
    with options.connect() as client:
        found = list(client.tokens(principal))
    if options.json:
        print_json({"tokens": [token_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(visible(each.token_id))
    elif not found:
        click.echo("there is none; 'weighbridge token create' makes one")
    else:
        _print_tokens(found)


@token.command(short_help="End a token.")
@click.argument("token_id", metavar="ID")
@global_options
@pass_options
def revoke(options: GlobalOptions, token_id: str) -> None:
    """End the token ID, as 'token list' shows it, or the token itself, of which only the id is sent. Within 5 seconds
    no server takes it any more.

    \b
    Examples:
      weighbridge token revoke 5f0c2b7a91d34e68
    """
    with options.connect() as client:
        ended = client.revoke_token(token_id)
    if options.json:
        print_json(token_document(ended))
    elif options.quiet:
        click.echo(visible(ended.token_id))
    else:
        click.echo(f"token {visible(ended.token_id)} of {visible(ended.principal)} is revoked")


def token_document(each: Token) -> dict[str, Any]:
    """A token as JSON."""
    times = {
        "created_time": each.created_time,
        "expires_time": each.expires_time,
        "revoked_time": each.revoked_time,
        "last_used_time": each.last_used_time,
    }
    return {
        "token_id": each.token_id,
        "principal": each.principal,
        "description": each.description,
        "creator": each.creator,
        "live": each.live,
        **{name: None if time is None else rfc3339(time) for name, time in times.items()},
        "revoked_by": each.revoked_by,
    }


def _added(client: Client, principal: str, kind: PrincipalKind) -> bool:
    try:
        client.create_principal(principal, kind=kind)
    except PrincipalExists:
        return False
    return True


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    match = _TTL.fullmatch(text.strip())
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 1 <= seconds <= LONGEST_TTL_S:
        raise UsageError(f"--ttl {text!r} is not a time such as 90d, 12h or 30m, of at most ten years")
    return seconds


def _print_made(made: NewToken, *, added: bool) -> None:
    expires = "never" if made.token.expires_time is None else moment(made.token.expires_time)
    who = f"{made.token.principal}, who is new" if added else made.token.principal
    print_facts(f"token {made.token.token_id}", [("of", who), ("expires", expires), ("token", made.text)])
    click.echo("It is not shown again. Keep it where WEIGHBRIDGE_TOKEN, or the file that")
    click.echo("WEIGHBRIDGE_TOKEN_FILE names, has it.")
    if added:
        click.echo(f"It may do nothing yet: weighbridge grant add {visible(made.token.principal)} ROLE SCOPE")


def _print_tokens(found: Sequence[Token]) -> None:
    print_table(
        ["ID", "OF", "STATE", "USED", "MADE", "BY", "DESCRIPTION"],
        [
            [
                each.token_id,
                each.principal,
                _state(each),
                "never" if each.last_used_time is None else day(each.last_used_time),
                day(each.created_time),
                each.creator,
                each.description,
            ]
            for each in found
        ],
        clipped=["DESCRIPTION"],
    )


def _state(each: Token) -> str:
    if each.revoked_time is not None:
        return f"revoked {day(each.revoked_time)}"
    if each.expires_time is None:
        return "works" if each.live else "disabled"
    return f"works until {day(each.expires_time)}" if each.live else f"expired {day(each.expires_time)}"
