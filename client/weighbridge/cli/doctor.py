"""``doctor``: what stands between a person and a working push."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.text import Text

from weighbridge.cli import machine_checks, server_checks
from weighbridge.cli.checks import Check
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import console
from weighbridge.cli.text import one_line
from weighbridge.cli.transfer import FOUND_SOMETHING

_NAME_CELLS = 14


@click.command(short_help="Check this machine and the server.")
@global_options
@click.pass_context
@pass_options
def doctor(options: GlobalOptions, context: click.Context) -> None:
    """Check this machine and the server, and say what to do where something is wrong.

    Looks at the configuration, the way to the server, the API, disks and folders, and whether a server could
    run here. Changes nothing, and never prints the token. Exits with 3 when something is wrong; with --quiet,
    only that is printed.

    \b
    Examples:
      weighbridge doctor
      weighbridge doctor --server registry.example:8420
      weighbridge doctor --json | jq '.checks[] | select(.ok | not)'
    """
    checks = []
    for check in _checks(options):
        checks.append(check)
        if not options.json and not (options.quiet and check.ok):
            _print(check)  # as it is found: some take seconds
    if options.json:
        print_json({"checks": [vars(check) for check in checks]})
    if not all(check.ok for check in checks):
        context.exit(FOUND_SOMETHING)


def _checks(options: GlobalOptions) -> Iterator[Check]:
    yield from machine_checks.software()
    yield from server_checks.server(options)
    yield from machine_checks.folders()
    yield machine_checks.server_parts()


def _print(check: Check) -> None:
    out = console()
    indent = " " * (_NAME_CELLS + 4)
    mark = ("✓ ", "green") if check.ok else ("✗ ", "bold red")
    start = Text.assemble(mark, check.name.ljust(_NAME_CELLS), "  ")
    for text, style in ((check.found, ""), (check.advice, "yellow")):
        if not text:
            continue
        for line in Text(one_line(text), style=style).wrap(out, max(out.width - len(indent), 20)):
            out.print(start + line, soft_wrap=True)
            start = Text(indent)
