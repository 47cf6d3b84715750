"""``model``: the verbs that register, describe, delete and restore a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from weighbridge.cli.completion import complete_deleted_model, complete_model
from weighbridge.cli.documents import model_document, print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_markdown
from weighbridge.cli.text import visible
from weighbridge.cli.text_file import read_text
from weighbridge.cli.units import counted, moment, size
from weighbridge.core.limits import CARD_BYTES
from weighbridge.core.values import Model

F = TypeVar("F", bound=Callable[..., Any])


@click.group(short_help="Register, describe, delete and restore models.")
@global_options
def model() -> None:
    """Register, describe, delete and restore models. 'weighbridge models' lists them.

    \b
    Examples:
      weighbridge model update fraud.tabular.transformer --card card.md
      weighbridge model show fraud.tabular.transformer
    """


def _described(command: F) -> F:
    """Adds the flags that say what a model is."""
    for option in (
        click.option(
            "--card",
            "card_file",
            metavar="FILE",
            type=click.Path(),
            help="Its card: a file of Markdown, at most 64 KiB; - reads standard input.",
        ),
        click.option("--description", metavar="TEXT", help="What it is for, in a sentence."),
        click.option("--contact", metavar="TEXT", help="Where to ask about it: an address, a channel, a page."),
        click.option("--team", metavar="TEXT", help="The group that the owner works in."),
        click.option("--owner", metavar="NAME", help="The person or service that answers for it."),
    ):
        command = option(command)
    return command


@model.command(short_help="Register a model.")
@click.argument("name")
@_described
@global_options
@pass_options
def create(
    options: GlobalOptions,
    name: str,
    owner: str | None,
    team: str | None,
    contact: str | None,
    description: str | None,
    card_file: str | None,
) -> None:
    """Register the model NAME, empty of versions. A push registers a missing model by itself.

    \b
    Examples:
      weighbridge model create fraud.tabular.transformer
      weighbridge model create fraud.tabular.transformer --owner ada \\
          --description "Scores card payments" --card card.md
    """
    card = _read_card(card_file)
    with options.connect() as client:
        made = client.create_model(
            name,
            owner=owner or "",
            team=team or "",
            contact=contact or "",
            description=description or "",
            card=card or "",
        )
    _print_changed("created", made, options)


@model.command(short_help="Show what is said of a model, and its card.")
@click.argument("name", shell_complete=complete_model)
@global_options
@pass_options
def show(options: GlobalOptions, name: str) -> None:
    """Show what is said of the model NAME, and its card: as Markdown on a terminal, elsewhere as it was written.

    \b
    Examples:
      weighbridge model show fraud.tabular.transformer
      weighbridge model show fraud.tabular.transformer --json | jq -r .card
    """
    with options.connect() as client:
        shown = client.model(name)
    if options.json:
        print_json(model_document(shown))
    elif options.quiet:
        click.echo(visible(shown.name))
    else:
        print_facts(shown.name, _facts(shown))
        if shown.card:
            click.echo()
            print_markdown(shown.card)


@model.command(short_help="Change what is said of a model.")
@click.argument("name", shell_complete=complete_model)
@_described
@global_options
@pass_options
def update(
    options: GlobalOptions,
    name: str,
    owner: str | None,
    team: str | None,
    contact: str | None,
    description: str | None,
    card_file: str | None,
) -> None:
    """Change what is said of the model NAME: what is given, and nothing else. An empty TEXT clears what was there.

    \b
    Examples:
      weighbridge model update fraud.tabular.transformer --owner grace
      weighbridge model update fraud.tabular.transformer --card - < card.md
    """
    card = _read_card(card_file)
    with options.connect() as client:
        updated = client.update_model(name, owner=owner, team=team, contact=contact, description=description, card=card)
    _print_changed("updated", updated, options)


@model.command(short_help="Delete a model and its versions; they can be restored.")
@click.argument("name", shell_complete=complete_model)
@click.option("--reason", required=True, metavar="TEXT", help="Why; whoever looks for the model is told.")
@global_options
@pass_options
def delete(options: GlobalOptions, name: str, reason: str) -> None:
    """Delete the model NAME with its versions: nobody finds, pulls or pushes them until 'model restore'.

    Nothing is removed from the server, and the name stays taken. Refused while something holds it: a version in
    staging or production, an alias, a version of another model that was made from one of it, a push that runs, a node.

    \b
    Examples:
      weighbridge model delete fraud.tabular.transformer --reason "never used"
    """
    with options.connect() as client:
        deleted = client.delete_model(name, reason=reason)
    if options.json:
        print_json(model_document(deleted))
    elif options.quiet:
        click.echo(visible(deleted.name))
    else:
        facts = [("reason", reason), ("back", f"weighbridge model restore {deleted.name}")]
        if deleted.latest_version:
            facts.insert(0, ("hidden", counted(deleted.latest_version, "version")))
        print_facts(f"deleted {deleted.name}", facts)


@model.command(short_help="Restore a deleted model and its versions.")
@click.argument("name", shell_complete=complete_deleted_model)
@global_options
@pass_options
def restore(options: GlobalOptions, name: str) -> None:
    """Restore the deleted model NAME as it was, with its versions. 'weighbridge models --deleted' lists what can be.

    \b
    Examples:
      weighbridge model restore fraud.tabular.transformer
    """
    with options.connect() as client:
        restored = client.restore_model(name)
    _print_changed("restored", restored, options)


def _print_changed(what: str, changed: Model, options: GlobalOptions) -> None:
    if options.json:
        print_json(model_document(changed))
    elif options.quiet:
        click.echo(visible(changed.name))
    else:
        card = [("card", size(len(changed.card.encode())))] if changed.card else []
        print_facts(f"{what} {changed.name}", [*_facts(changed), *card])


def _facts(shown: Model) -> list[tuple[str, str]]:
    facts = [
        ("owner", shown.owner),
        ("team", shown.team),
        ("contact", shown.contact),
        ("description", shown.description),
        ("created", f"{moment(shown.created_time)} by {shown.creator}"),
        ("versions", str(shown.latest_version)),
    ]
    return [(name, value) for name, value in facts if value]


def _read_card(file: str | None) -> str | None:
    if file is None:
        return None
    return read_text(file, "card", CARD_BYTES, "; push long documents as files of a version")
