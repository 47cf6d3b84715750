"""``deployments``, ``retire`` and ``zombies``: what runs where, and what should not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_table
from weighbridge.cli.text import visible
from weighbridge.cli.transfer import FOUND_SOMETHING
from weighbridge.cli.units import counted, moment, rfc3339
from weighbridge.core.deployments import DEFAULT_GRACE_S, Deployment, Zombie
from weighbridge.core.digest import format_digest
from weighbridge.core.refs import parse_ref


@click.command(short_help="List which node runs which version.")
@click.argument("ref", required=False, shell_complete=complete_model)
@click.option("--live", is_flag=True, help="Only nodes that reported within their time.")
@global_options
@pass_options
def deployments(options: GlobalOptions, ref: str | None, live: bool) -> None:
    """List which node runs which version: of all models, or of REF, a model's name or a version.

    Nodes report through the SDK; those that retired are left out.

    \b
    Examples:
      weighbridge deployments
      weighbridge deployments fraud.tabular.transformer
      weighbridge deployments fraud.tabular.transformer:7 --live
    """
    with options.connect() as client:
        if ref is None:
            found = list(client.deployments(live=live))
        elif str(parse_ref(ref)) == parse_ref(ref).model:
            found = list(client.deployments(ref, live=live))
        else:
            found = list(client.deployments(ref=ref, live=live))
    if options.json:
        print_json({"deployments": [deployment_document(deployment) for deployment in found]})
    elif options.quiet:
        for deployment in found:
            click.echo(visible(deployment.node))
    elif not found:
        click.echo("nothing runs that reports itself")
    else:
        print_table(
            ["NODE", "RUNS", "STAGE", "FOLLOWS", "SINCE", "REPORTED", "STATE"],
            [
                [
                    deployment.node,
                    deployment.ref or format_digest(deployment.manifest)[:19] + "…",
                    str(deployment.stage or "unregistered"),
                    f"@{deployment.alias}",
                    moment(deployment.since_time),
                    moment(deployment.reported_time),
                    "live" if deployment.live else "silent",
                ]
                for deployment in found
            ],
        )


@click.command(short_help="Note that a node runs a model no more.")
@click.argument("node")
@click.argument("model", required=False, default="", shell_complete=complete_model)
@global_options
@pass_options
def retire(options: GlobalOptions, node: str, model: str) -> None:
    """Note that NODE runs MODEL no more, or nothing at all. Nodes of the SDK do it by themselves when they end.

    \b
    Examples:
      weighbridge retire eu-7
      weighbridge retire eu-7 fraud.tabular.transformer
    """
    with options.connect() as client:
        retired = client.retire_deployment(node=node, model=model)
    if options.json:
        print_json({"node": node, "retired": retired})
    elif not options.quiet:
        click.echo(f"retired {counted(retired, 'deployment')} of {visible(node)}")


@click.command(short_help="Find what runs and should not.")
@click.argument("model", required=False, default="", shell_complete=complete_model)
@click.option(
    "--grace",
    "grace_s",
    type=click.IntRange(0, 2**32 - 1),
    metavar="SECONDS",
    help=f"How long a node may be behind its alias. [default: {DEFAULT_GRACE_S}]",
)
@global_options
@click.pass_context
@pass_options
def zombies(options: GlobalOptions, context: click.Context, model: str, grace_s: int | None) -> None:
    """Find what runs and should not. Exits with 3 when there is any.

    A zombie runs something that is not registered, was deleted or archived, has stayed on another version than its
    alias points at, or has gone silent. What runs without a description or metrics is a warning, and no more.

    \b
    Examples:
      weighbridge zombies
      weighbridge zombies fraud.tabular.transformer --grace 3600
    """
    with options.connect() as client:
        found = client.zombies(model, grace_s=grace_s)
    if options.json:
        print_json(
            {
                "zombies": [zombie_document(zombie) for zombie in found.zombies],
                "undocumented": [zombie_document(zombie) for zombie in found.undocumented],
                "left_out": found.left_out,
            }
        )
    elif options.quiet:
        for zombie in found.zombies:
            click.echo(visible(zombie.deployment.node))
    else:
        _print_zombies("ZOMBIE", found.zombies)
        _print_zombies("WARNING", found.undocumented)
        if not found.zombies:
            click.echo("no zombies" + ("" if found.undocumented else ": everything that reports itself may run"))
        if found.left_out:
            click.echo(f"and {found.left_out:,} more; ask for one model to see them")
    if found.zombies:
        context.exit(FOUND_SOMETHING)


def _print_zombies(what: str, zombies: Iterable[Zombie]) -> None:
    rows = [
        [
            ", ".join(map(str, zombie.reasons)),
            zombie.deployment.node,
            zombie.deployment.ref or format_digest(zombie.deployment.manifest)[:19] + "…",
            zombie.message,
        ]
        for zombie in zombies
    ]
    if rows:
        print_table([what, "NODE", "RUNS", "WHY"], rows, clipped=["WHY"])


def deployment_document(deployment: Deployment) -> dict[str, Any]:
    """A deployment."""
    return {
        "node": deployment.node,
        "model": deployment.model,
        "ref": deployment.ref,
        "manifest_digest": format_digest(deployment.manifest),
        "alias": deployment.alias,
        "stage": None if deployment.stage is None else str(deployment.stage),
        "actor": deployment.actor,
        "since_time": rfc3339(deployment.since_time),
        "reported_time": rfc3339(deployment.reported_time),
        "ttl_s": deployment.ttl_s,
        "live": deployment.live,
    }


def zombie_document(zombie: Zombie) -> dict[str, Any]:
    """A zombie, with the deployment that it is."""
    return {
        **deployment_document(zombie.deployment),
        "reasons": [str(reason) for reason in zombie.reasons],
        "message": zombie.message,
    }
