"""``version``: the verbs that change what may change of a version: tags and description, and whether it is there."""

from __future__ import annotations

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json, version_document
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.pairs import Pair, each_name_once, scalars
from weighbridge.cli.render import print_facts
from weighbridge.cli.text import visible
from weighbridge.cli.units import moment
from weighbridge.core.values import Version


@click.group(short_help="Tag, describe, delete and restore versions.")
@global_options
def version() -> None:
    """Tag, describe, delete and restore versions. 'weighbridge versions MODEL' lists them.

    \b
    Examples:
      weighbridge version tag fraud.tabular.transformer:7 approved=true
      weighbridge version delete fraud.tabular.transformer:7 --reason "bad labels"
    """


@version.command(short_help="Set and remove a version's tags.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("pairs", metavar="[NAME=VALUE]...", nargs=-1, type=Pair(), callback=each_name_once)
@click.option("--remove", metavar="NAME", multiple=True, help="A tag that shall go; may be given more than once.")
@global_options
@pass_options
def tag(options: GlobalOptions, ref: str, pairs: tuple[tuple[str, str], ...], remove: tuple[str, ...]) -> None:
    """Set tags of the version REF, and remove others. What is not named stays as it is.

    A VALUE is a number, true, false or text; '"7"' is text that looks like a number.

    \b
    Examples:
      weighbridge version tag fraud.tabular.transformer:7 approved=true n=3
      weighbridge version tag fraud.tabular.transformer:7 --remove candidate
    """
    if not pairs and not remove:
        raise click.UsageError("give tags to set, as NAME=VALUE, or to --remove")
    with options.connect() as client:
        tagged = client.update_version(ref, set_tags=scalars(pairs), remove_tags=remove)
    _print_changed("tagged", tagged, options)


@version.command(short_help="Change a version's description.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("text")
@global_options
@pass_options
def describe(options: GlobalOptions, ref: str, text: str) -> None:
    """Put TEXT in the place of the description of the version REF; '' clears it.

    \b
    Examples:
      weighbridge version describe fraud.tabular.transformer:7 "clean labels"
    """
    with options.connect() as client:
        described = client.update_version(ref, description=text)
    _print_changed("described", described, options)


@version.command(short_help="Delete a version; it can be restored for a while.")
@click.argument("ref", shell_complete=complete_model)
@click.option("--reason", required=True, metavar="TEXT", help="Why; whoever looks for the version is told.")
@global_options
@pass_options
def delete(options: GlobalOptions, ref: str, reason: str) -> None:
    """Delete the version REF: nobody finds or pulls it until 'version restore'.

    It can be restored until the server purges it: after 30 days, unless its operator chose otherwise. Its number is
    not used again. Refused while something holds it: its stage, an alias, a version that was made from it or a push
    that names it as a parent.

    \b
    Examples:
      weighbridge version delete fraud.tabular.transformer:7 --reason "bad labels"
    """
    with options.connect() as client:
        deleted = client.delete_version(ref, reason=reason)
    if options.json:
        print_json(version_document(deleted))
    elif options.quiet:
        click.echo(visible(deleted.ref))
    else:
        facts = [("reason", reason), ("back", f"weighbridge version restore {deleted.ref}")]
        print_facts(f"deleted {deleted.ref}", facts)


@version.command(short_help="Restore a deleted version.")
@click.argument("ref", metavar="MODEL:NUMBER", shell_complete=complete_model)
@global_options
@pass_options
def restore(options: GlobalOptions, ref: str) -> None:
    """Restore a deleted version as it was. 'weighbridge versions MODEL --deleted' lists what can be.

    \b
    Examples:
      weighbridge version restore fraud.tabular.transformer:7
    """
    with options.connect() as client:
        restored = client.restore_version(ref)
    _print_changed("restored", restored, options)


def _print_changed(what: str, changed: Version, options: GlobalOptions) -> None:
    record = changed.record
    assert record is not None, "a changed version comes with its record"
    if options.json:
        print_json({**version_document(changed), "description": record.description, "tags": dict(record.tags)})
    elif options.quiet:
        click.echo(visible(changed.ref))
    else:
        facts = [
            ("stage", str(changed.stage)),
            ("created", f"{moment(changed.created_time)} by {changed.creator}"),
            ("description", record.description),
            *((f"tag {name}", str(value)) for name, value in record.tags.items()),
        ]
        print_facts(f"{what} {changed.ref}", [(name, value) for name, value in facts if value])
