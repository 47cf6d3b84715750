"""``schema``: the verbs that set a prefix's schema, show it, and hold versions against one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import one_line, visible
from weighbridge.cli.text_file import read_text
from weighbridge.cli.transfer import FOUND_SOMETHING
from weighbridge.cli.units import counted, moment, rfc3339
from weighbridge.core.limits import SCHEMA_BYTES
from weighbridge.core.values import CheckedVersion, Schema


@click.group(short_help="Say what versions must record, by prefix of names.")
@global_options
def schema() -> None:
    """Say what versions must record: JSON Schema (draft 2020-12) by prefix of names.

    A prefix is whole segments, such as fraud or fraud.tabular; "*" is all names. The longest one that has a schema
    governs a model, and no other counts. A push that breaks it is refused before a byte is sent.

    \b
    Examples:
      weighbridge schema get fraud.tabular.transformer
      weighbridge schema set fraud fraud.json
      weighbridge schema check fraud
    """


@schema.command(short_help="Show the schema that governs a model or prefix.")
@click.argument("name", shell_complete=complete_model)
@click.option("--revision", type=int, metavar="N", help="That revision of exactly this prefix.")
@global_options
@pass_options
def get(options: GlobalOptions, name: str, revision: int | None) -> None:
    """Show the schema that governs the model or prefix NAME.

    With --quiet, its text alone, fit to be changed and set again.

    \b
    Examples:
      weighbridge schema get fraud.tabular.transformer
      weighbridge schema get -q "*" > schema.json
      weighbridge schema get fraud --revision 2
    """
    with options.connect() as client:
        shown = client.schema(name, revision)
    if options.json:
        print_json(_document(shown))
    else:
        if not options.quiet:
            print_facts(_title(shown), _facts(shown))
            click.echo()
        for line in (shown.json_schema or "").splitlines():
            click.echo(visible(line.expandtabs(4)))


@schema.command("set", short_help="Set the schema of a prefix.")
@click.argument("prefix", shell_complete=complete_model)
@click.argument("file", type=click.Path())
@click.option(
    "--expect",
    type=int,
    metavar="REVISION",
    help="Refuse unless the prefix is at this revision; 0: unless none was set.",
)
@global_options
@pass_options
def set_(options: GlobalOptions, prefix: str, file: str, expect: int | None) -> None:
    """Make the JSON in FILE the schema of PREFIX; - reads standard input. {} asks for nothing.

    Versions pushed from now on must pass it; those that are there keep the revision that they passed.
    'schema check' tells beforehand which would break it.

    \b
    Examples:
      weighbridge schema set fraud fraud.json
      weighbridge schema set fraud fraud.json --expect 2
      echo '{}' | weighbridge schema set "*" -
    """
    text = _read(file)
    with options.connect() as client:
        made = client.set_schema(prefix, text, expected_revision=expect)
    if options.json:
        print_json(_document(made))
    elif options.quiet:
        click.echo(made.revision)
    else:
        print_facts(_title(made), _facts(made))


@schema.command(short_help="Say which versions break a schema.")
@click.argument("target", shell_complete=complete_model)
@click.argument("file", required=False, type=click.Path())
@global_options
@click.pass_context
@pass_options
def check(options: GlobalOptions, context: click.Context, target: str, file: str | None) -> None:
    """Hold versions against the schema that governs them, or against the one in FILE, which is not set.

    TARGET is a reference to one version, or a model or prefix, whose versions are all looked at. Exits with 3 when
    one breaks the schema. With --quiet, only the references of those are printed.

    \b
    Examples:
      weighbridge schema check fraud.tabular.transformer:7
      weighbridge schema check fraud stricter.json
      weighbridge schema check "*" --json
    """
    text = None if file is None else _read(file)
    with options.connect() as client:
        checked = list(client.check_schema(target, text))
    broken = [version for version in checked if version.violations]
    if options.json:
        print_json({"checked": [_checked_document(version) for version in checked], "ok": not broken})
    elif options.quiet:
        for version in broken:
            click.echo(visible(version.ref))
    else:
        _print_checked(target, checked, broken)
    if broken:
        context.exit(FOUND_SOMETHING)


@schema.command("list", short_help="List the prefixes that have a schema.")
@global_options
@pass_options
def list_(options: GlobalOptions) -> None:
    """List the prefixes that have a schema, and its present revision.

    \b
    Examples:
      weighbridge schema list
      weighbridge schema list -q     # prefixes alone
    """
    with options.connect() as client:
        found = client.schemas()
    if options.json:
        print_json({"schemas": [_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(visible(each.prefix))
    elif not found:
        click.echo("no schema is set; 'weighbridge schema set PREFIX FILE' sets one")
    else:
        print_table(
            ["PREFIX", "REVISION", "SET", "BY"],
            [
                [each.prefix, str(each.revision), *((moment(each.set_time), each.actor) if each.set_time else _SHIPPED)]
                for each in found
            ],
            right=["REVISION"],
        )


_SHIPPED = ("shipped with the server", "")


def _title(shown: Schema) -> str:
    return f"schema of {shown.prefix}"


def _facts(shown: Schema) -> list[tuple[str, str]]:
    set_ = f"{moment(shown.set_time)} by {shown.actor}" if shown.set_time is not None else _SHIPPED[0]
    return [("revision", str(shown.revision)), ("set", set_)]


def _document(shown: Schema) -> dict[str, Any]:
    document = {
        "prefix": shown.prefix,
        "revision": shown.revision,
        "actor": shown.actor,
        "set_time": None if shown.set_time is None else rfc3339(shown.set_time),
    }
    # The server took it as JSON.
    return document if shown.json_schema is None else {**document, "json_schema": json.loads(shown.json_schema)}


def _checked_document(checked: CheckedVersion) -> dict[str, Any]:
    held = checked.schema
    return {
        "ref": checked.ref,
        "ok": not checked.violations,
        "violations": [{"path": item.path, "message": item.message} for item in checked.violations],
        "schema": None if held is None else {"prefix": held.prefix, "revision": held.revision},
    }


def _print_checked(target: str, checked: Sequence[CheckedVersion], broken: Sequence[CheckedVersion]) -> None:
    for version in broken:
        print_facts(
            f"{version.ref} breaks {_held_against(version)}",
            [(item.path, one_line(item.message)) for item in version.violations],
        )
    if not checked:
        click.echo(f"{visible(target)} has no versions yet")
    elif not broken:
        click.echo(f"{counted(len(checked), 'version')} checked, and none breaks its schema")
    else:
        click.echo(f"{counted(len(checked), 'version')} checked, {len(broken)} of them break the schema")


def _held_against(checked: CheckedVersion) -> str:
    held = checked.schema
    return "the schema that was given" if held is None else f"the schema of {held.prefix}, revision {held.revision}"


def _read(file: str) -> str:
    return read_text(file, "schema", SCHEMA_BYTES)
