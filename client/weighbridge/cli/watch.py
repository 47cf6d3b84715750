"""``watch``: follows an alias, line by line, or runs a command for each of its moves."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.text import visible
from weighbridge.cli.units import moment, rfc3339
from weighbridge.core.watching import Change


@click.command(short_help="Follow an alias, and run a command when it moves.")
@click.argument("ref", metavar="NAME[@ALIAS]", shell_complete=complete_model)
@click.option("--exec", "command", metavar="CMD", help="Run by the shell for how it stands, then for each change.")
@click.option("--after", type=click.IntRange(min=0), metavar="REVISION", help="Go on behind this revision.")
@global_options
@pass_options
def watch(options: GlobalOptions, ref: str, command: str | None, after: int | None) -> None:
    """Follow NAME@ALIAS, or everything that happens to the model NAME: how it stands, then each change, until Ctrl-C.

    A lost connection is made again, and nothing is missed. CMD finds WEIGHBRIDGE_REF, WEIGHBRIDGE_VERSION,
    WEIGHBRIDGE_ALIAS, WEIGHBRIDGE_ACTION, WEIGHBRIDGE_REVISION, WEIGHBRIDGE_REASON and WEIGHBRIDGE_PREVIOUS_REF in its
    environment; while it runs, changes wait. A command that fails is reported, and the next change is waited for.

    \b
    Examples:
      weighbridge watch fraud.tabular.transformer@production
      weighbridge watch fraud.tabular.transformer@production --json | jq -r .ref
      weighbridge watch fraud.tabular.transformer@production \\
          --exec 'weighbridge pull "$WEIGHBRIDGE_REF" models/'
    """
    with options.connect() as client:
        for change in client.watch(ref, after_revision=after):
            _show(options, change)
            if command is not None:
                _run(options, command, change)


def _show(options: GlobalOptions, change: Change) -> None:
    if options.json:
        print_json(change_document(change))
    elif options.quiet:
        click.echo(visible(change.ref))
    else:
        what = "stands" if change.present else change.action
        where = change.ref or ("nowhere" if change.alias else change.resource)
        name = f"@{change.alias} " if change.alias else ""
        why = f"  {change.reason}" if change.reason else ""
        line = f"{moment(change.time)}  {change.revision:>6}  {what}  {name}{where}  by {change.actor}{why}"
        click.echo(visible(line))
    sys.stdout.flush()


def _run(options: GlobalOptions, command: str, change: Change) -> None:
    said = {
        **options.environment(),
        "WEIGHBRIDGE_REF": change.ref,
        "WEIGHBRIDGE_VERSION": "" if change.version is None else str(change.version),
        "WEIGHBRIDGE_ALIAS": change.alias,
        "WEIGHBRIDGE_ACTION": change.action,
        "WEIGHBRIDGE_REVISION": str(change.revision),
        "WEIGHBRIDGE_REASON": change.reason,
        "WEIGHBRIDGE_PREVIOUS_REF": change.previous_ref,
    }
    # With --json the lines on standard output are ours alone.
    output = sys.stderr if options.json else None
    code = subprocess.run(command, shell=True, env={**os.environ, **said}, stdout=output, check=False).returncode
    if code:
        click.echo(f"warning: the command ended with {code} for revision {change.revision}", err=True)


def change_document(change: Change) -> dict[str, object]:
    """A change, as one line of ``--json``."""
    return {
        "revision": change.revision,
        "time": rfc3339(change.time),
        "action": change.action,
        "alias": change.alias,
        "version": change.version,
        "ref": change.ref,
        "manifest_digest": change.manifest_digest,
        "previous_ref": change.previous_ref,
        "resource": change.resource,
        "actor": change.actor,
        "reason": change.reason,
        "present": change.present,
    }
