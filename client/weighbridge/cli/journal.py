"""``journal``: the audit trail, listed, proven, exported and held against a checkpoint."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.journal_progress import checking_shown
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text import one_line
from weighbridge.cli.times import parse_time
from weighbridge.cli.transfer import FOUND_SOMETHING
from weighbridge.cli.units import counted, moment
from weighbridge.client import Client
from weighbridge.core.errors import JournalBroken, ModelDeleted, ModelNotFound
from weighbridge.core.event_hash import time_text
from weighbridge.core.event_text import event_line
from weighbridge.core.values import Event
from weighbridge.journal import load_checkpoint, prove_file
from weighbridge.whole_file import whole_file

_STANDARD_OUTPUT = "-"
_ACTION = re.compile(r"[a-z-]+\.[a-z-]*")


@click.group(short_help="List, prove and export the audit trail.", invoke_without_command=True)
@global_options
@click.pass_context
def journal(context: click.Context) -> None:
    """The audit trail: every change, who made it and when, each event bound to the one before by its hash.

    \b
    Examples:
      weighbridge journal list --model fraud.tabular.transformer
      weighbridge journal verify
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@journal.command("list", short_help="List events.")
@click.option("--model", default="", metavar="NAME", shell_complete=complete_model, help="Of this model, all of it.")
@click.option("--actor", default="", metavar="ACTOR", help="By this one, written as in the list.")
@click.option("--action", default="", metavar="ACTION", help="Of this kind; 'version.' stands for all that begin so.")
@click.option("--resource", default="", metavar="NAME", help="Of this and what is under it, such as one version.")
@click.option("--since", metavar="TIME", help="At this time or later: ISO 8601, local unless it says its zone.")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@global_options
@pass_options
def list_events(
    options: GlobalOptions,
    model: str,
    actor: str,
    action: str,
    resource: str,
    since: str | None,
    until: str | None,
    limit: int | None,
) -> None:
    """List events in order of revision, the newest last. With --quiet, only revisions.

    \b
    Examples:
      weighbridge journal list --limit 20
      weighbridge journal list --since 2026-10-01 --model fraud.vision.resnet
      weighbridge journal list --action version.committed --until 2026-11-24
      weighbridge journal list --json | jq -r '.events[].actor' | sort | uniq -c
    """
    begin, end = parse_time("--since", since), parse_time("--until", until)
    with options.connect() as client:
        events = client.events(
            model=model,
            resource=resource,
            actor=actor,
            action=action,
            since=begin,
            until=end,
            newest_first=limit is not None,
        )
        found = list(events) if limit is None else list(islice(events, limit))[::-1]
        notes = [] if found else list(_mistakes(client, model, actor, action))
    if options.json:
        print_json({"events": [_document(event) for event in found]})
    elif options.quiet:
        for event in found:
            click.echo(event.revision)
    elif not found:
        click.echo("no events")
        for note in notes:
            click.echo(f"note: {note}", err=True)
    else:
        print_table(
            ["REVISION", "TIME", "ACTION", "RESOURCE", "ACTOR"],
            [[str(event.revision), moment(event.time), event.action, event.resource, event.actor] for event in found],
            right=["REVISION"],
            clipped=["ACTOR"],
            under="RESOURCE",
        )


def _mistakes(client: Client, model: str, actor: str, action: str) -> Iterator[str]:
    """What may be meant otherwise, where nothing was found: no events of a name that never was are no clean record."""
    if actor:
        yield "--actor is the whole name as the list has it, such as unauthenticated:ada"
    if action and not _ACTION.fullmatch(action):
        yield "actions are written like version.committed; 'version.' stands for all that begin so"
    if model:
        try:
            with suppress(ModelDeleted):
                client.model(model)
        except ModelNotFound as fault:
            yield one_line(fault.message)


@journal.command(short_help="Prove that no event was changed, removed, moved or added.")
@click.option(
    "--checkpoint",
    "checkpoint_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What 'journal checkpoint' wrote before: shows also what is gone from the end.",
)
@click.option(
    "--file",
    "exported",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Prove what 'journal export' wrote; no server is asked.",
)
@global_options
@click.pass_context
@pass_options
def verify(options: GlobalOptions, context: click.Context, checkpoint_file: Path | None, exported: Path | None) -> None:
    """Prove that the journal is what was written. Exits with 3 when it is not, and names the revision.

    The server checks itself; then every event comes here, and every hash is computed again. A history that was
    written anew as a whole, or lost its end, only shows against a checkpoint that was kept somewhere else.

    \b
    Examples:
      weighbridge journal verify
      weighbridge journal verify --checkpoint monday.json
      weighbridge journal verify --file journal.jsonl --checkpoint monday.json
    """
    try:
        checkpoint = None if checkpoint_file is None else load_checkpoint(checkpoint_file)
        if exported is not None:
            proven = prove_file(exported, checkpoint)
        else:
            with options.connect() as client, checking_shown("verifying", options) as progress:
                proven = client.verify_journal(checkpoint, progress=progress)
    except JournalBroken as found:
        _print_broken(options, found, exported)
        context.exit(FOUND_SOMETHING)
    if options.json:
        print_json(
            {
                "ok": True,
                "events": proven.revision,
                "revision": proven.revision,
                "hash": proven.hash.hex(),
                "checkpoint_revision": None if checkpoint is None else checkpoint.revision,
            }
        )
    elif not options.quiet:
        facts = [
            ("events", f"{proven.revision}, every hash computed again"),
            ("newest", f"revision {proven.revision}"),
            ("hash", proven.hash.hex()),
        ]
        if checkpoint is not None:
            facts.append(("checkpoint", f"revision {checkpoint.revision} of {checkpoint.server} is still there"))
        print_facts(f"the journal of {proven.server} holds", facts)


@journal.command(short_help="Write all events to a file.")
@click.argument("file", required=False, default=_STANDARD_OUTPUT, type=click.Path())
@global_options
@pass_options
def export(options: GlobalOptions, file: str) -> None:
    """Write all events to FILE (default: -, standard output), a line of JSON each, as they are hashed.

    FILE is there whole or not at all. 'weighbridge journal verify --file FILE' proves it anywhere.

    \b
    Examples:
      weighbridge journal export journal.jsonl
      weighbridge journal export | gzip > journal.jsonl.gz
    """
    with options.connect() as client:
        events = client.events()
        if file == _STANDARD_OUTPUT:
            for event in events:
                sys.stdout.write(event_line(event) + "\n")
            return
        newest = 0
        with whole_file(Path(file)) as out:
            for event in events:
                out.write(event_line(event) + "\n")
                newest = event.revision
    if options.json:
        print_json({"path": file, "events": newest, "revision": newest})
    elif not options.quiet:
        print_facts(f"exported {counted(newest, 'event')} to {file}", [])


@journal.command(short_help="Write down where the journal stands, for a later verification.")
@click.argument("file", required=False, default=_STANDARD_OUTPUT, type=click.Path())
@global_options
@pass_options
def checkpoint(options: GlobalOptions, file: str) -> None:
    """Prove the journal, and write to FILE (default: -, standard output) where it stands: a small JSON document.

    Keep it where who can change the database cannot change it. Exits with 1 when the journal does not hold.

    \b
    Examples:
      weighbridge journal checkpoint monday.json
      weighbridge journal checkpoint | ssh auditor 'cat > monday.json'
    """
    with options.connect() as client, checking_shown("verifying", options) as progress:
        taken = client.verify_journal(progress=progress)
    if file == _STANDARD_OUTPUT:
        click.echo(taken.to_json())
        return
    with whole_file(Path(file)) as out:
        out.write(taken.to_json() + "\n")
    if options.json:
        print_json(json.loads(taken.to_json()))
    elif not options.quiet:
        print_facts(
            f"checkpoint of {taken.server} in {file}",
            [("revision", str(taken.revision)), ("hash", taken.hash.hex())],
        )


def _print_broken(options: GlobalOptions, found: JournalBroken, exported: Path | None) -> None:
    if options.json:
        revision = found.details.get("revision", "")
        number = int(revision) if revision.isascii() and revision.isdecimal() else None
        print_json({"ok": False, "revision": number, "message": found.message})
    else:
        where = exported or options.address()[0]
        facts = [("revision", found.details.get("revision", "not named")), ("found", found.message)]
        print_facts(f"the journal of {where} does not hold", facts)


def _document(event: Event) -> dict[str, Any]:
    return {
        "revision": event.revision,
        "time": time_text(event.time),
        "actor": event.actor,
        "action": event.action,
        "resource": event.resource,
        "before": _state(event.before),
        "after": _state(event.after),
        "previous_hash": event.previous_hash.hex(),
        "hash": event.hash.hex(),
    }


def _state(text: str) -> Any:
    """A state as JSON; as text where somebody made it something else."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text
