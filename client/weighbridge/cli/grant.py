"""``grant``: the verbs that give roles, list them and take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_table
from weighbridge.cli.text import visible
from weighbridge.cli.units import day, rfc3339
from weighbridge.core.principals import GrantedRole, scope_text
from weighbridge.core.values import Role

_ROLE = click.Choice([str(role) for role in Role])


@click.group(short_help="Say who may do what: roles, by prefix of names or by alias.")
@global_options
def grant() -> None:
    """Say who may do what: roles, by prefix of names or by alias.

    \b
    reader       reads, and reports deployments
    contributor  pushes, tags, moves aliases and to staging
    approver     approves
    maintainer   moves to production, rolls back, deletes, sets schemas and
                 policies, and what contributors and approvers do
    admin        all of it, and grants; on * also makes principals and tokens

    SCOPE is a prefix in whole segments, such as fraud; * for all names; or one alias or stage, fraud@production,
    where a role is for moving that alias alone, and for reading.

    \b
    Examples:
      weighbridge grant add alice contributor fraud
      weighbridge grant add release-bot maintainer "*@production"
      weighbridge grant list alice
    """


@grant.command(short_help="Give a principal a role.")
@click.argument("principal")
@click.argument("role", type=_ROLE)
@click.argument("scope", shell_complete=complete_model)
@global_options
@pass_options
def add(options: GlobalOptions, principal: str, role: str, scope: str) -> None:
    """Give PRINCIPAL the role ROLE on SCOPE. It takes the role admin there.

    \b
    Examples:
      weighbridge grant add alice contributor fraud
      weighbridge grant add eu-7 reader fraud.tabular
      weighbridge grant add bob maintainer fraud@production
    """
    with options.connect() as client:
        granted = client.grant(principal, role, scope)
    if options.json:
        print_json(grant_document(granted))
    elif options.quiet:
        click.echo(visible(scope_of(granted)))
    else:
        click.echo(visible(f"{granted.principal} has the role {granted.grant.role} on {scope_of(granted)}"))


@grant.command("list", short_help="List who may do what.")
@click.argument("principal", required=False, default="")
@global_options
@pass_options
def list_(options: GlobalOptions, principal: str) -> None:
    """List the roles of PRINCIPAL, or of everybody.

    \b
    Examples:
      weighbridge grant list
      weighbridge grant list alice
    """
    with options.connect() as client:
        found = list(client.grants(principal))
    if options.json:
        print_json({"grants": [grant_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(visible(f"{each.principal} {each.grant.role} {scope_of(each)}"))
    elif not found:
        click.echo("nothing is granted; 'weighbridge grant add' does")
    else:
        print_grants(found)


@grant.command(short_help="Take a role from a principal.")
@click.argument("principal")
@click.argument("role", type=_ROLE)
@click.argument("scope", shell_complete=complete_model)
@global_options
@pass_options
def rm(options: GlobalOptions, principal: str, role: str, scope: str) -> None:
    """Take the role ROLE on SCOPE from PRINCIPAL. It takes the role admin there.

    \b
    Examples:
      weighbridge grant rm alice contributor fraud
    """
    with options.connect() as client:
        client.revoke_grant(principal, role, scope)
    if options.json:
        print_json({"principal": principal, "role": role, "scope": scope, "granted": False})
    elif not options.quiet:
        click.echo(visible(f"{principal} has the role {role} on {scope} no more"))


def print_grants(found: Sequence[GrantedRole]) -> None:
    """A table of roles."""
    print_table(
        ["PRINCIPAL", "ROLE", "SCOPE", "SINCE", "BY"],
        [
            [each.principal, str(each.grant.role), scope_of(each), day(each.granted_time), each.granted_by]
            for each in found
        ],
    )


def grant_document(each: GrantedRole) -> dict[str, Any]:
    """A role that somebody has as JSON."""
    return {
        "principal": each.principal,
        "role": str(each.grant.role),
        "scope": scope_of(each),
        "prefix": each.grant.prefix,
        "alias": each.grant.alias,
        "granted_time": rfc3339(each.granted_time),
        "granted_by": each.granted_by,
    }


def scope_of(each: GrantedRole) -> str:
    """Where a role is granted, as it is typed."""
    return scope_text(each.grant.prefix, each.grant.alias)
