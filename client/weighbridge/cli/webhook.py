"""``webhook``: the verbs that have events sent to URLs, and say what came of it."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_facts, print_table
from weighbridge.cli.text_file import read_text
from weighbridge.cli.transfer import FOUND_SOMETHING
from weighbridge.cli.units import moment, rfc3339
from weighbridge.core.refs import ALL_NAMES
from weighbridge.core.webhook_check import LONGEST_SECRET
from weighbridge.core.webhooks import Webhook, WebhookDelivery

_STYLES = {"failing": "yellow", "paused": "yellow"}


@click.group(short_help="Have events sent to URLs, signed, at least once and in order.")
@global_options
def webhook() -> None:
    """Have the journal's events sent to URLs: each at least once, in order, signed.

    A receiver answers with 2xx what it took. What it did not take is sent again, after a time that doubles up to 5
    minutes; after a day of failures the webhook is paused. SPEC.md (section 17) describes what is sent.

    \b
    Examples:
      weighbridge webhook add https://ci.example.com/hook --model fraud
      weighbridge webhook list
      weighbridge webhook deliveries 1
    """


@webhook.command(short_help="Have events sent to a URL from now on.")
@click.argument("url")
@click.option(
    "--model",
    "target",
    default=ALL_NAMES,
    metavar="NAME_OR_PREFIX",
    shell_complete=complete_model,
    help='Only events of this model, or of those whose names begin so. [default: "*", all, those of no model too]',
)
@click.option("--alias", default="", metavar="ALIAS", help="Only what happens to this alias, such as production.")
@click.option(
    "--action",
    "actions",
    multiple=True,
    metavar="ACTION",
    help="Only this action, such as alias.promoted, or alias. for all that begin so; may be repeated.",
)
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@click.option(
    "--secret-file",
    type=click.Path(),
    metavar="FILE",
    help="Sign with the text in FILE (-: standard input). By default the server makes a secret, and it is shown once.",
)
@global_options
@pass_options
def add(
    options: GlobalOptions,
    url: str,
    target: str,
    alias: str,
    actions: tuple[str, ...],
    description: str,
    secret_file: str | None,
) -> None:
    """Have events sent to URL from now on, signed with a secret. With --quiet, only its number.

    What stands behind the URL's ? is never shown again: put there what must not be read.

    \b
    Examples:
      weighbridge webhook add https://ci.example.com/hook \\
          --model fraud.tabular.transformer --alias production
      weighbridge webhook add https://chat.example.com/x --action alias. \\
          --action approval.requested --secret-file secret.txt
    """
    secret = None if secret_file is None else _secret(secret_file)
    with options.connect() as client:
        made = client.create_webhook(url, target, alias=alias, actions=actions, description=description, secret=secret)
    if options.json:
        print_json({**_document(made.webhook), "secret": made.secret if secret is None else None})
    elif options.quiet:
        click.echo(made.webhook.id)
    else:
        shown = made.secret if secret is None else f"the one in {secret_file}"
        print_facts(f"webhook {made.webhook.id} sends what happens", [*_facts(made.webhook), ("secret", shown)])
        if secret is None:
            click.echo("the secret is not shown again; the receiver needs it to verify the signatures")


@webhook.command("list", short_help="List webhooks, and how each stands.")
@global_options
@pass_options
def list_(options: GlobalOptions) -> None:
    """List webhooks, and how each stands. Secrets are never shown. With --quiet, only their numbers.

    \b
    Examples:
      weighbridge webhook list
      weighbridge webhook list --json | jq '.webhooks[] | select(.paused)'
    """
    with options.connect() as client:
        found = list(client.webhooks())
    if options.json:
        print_json({"webhooks": [_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(each.id)
    elif not found:
        click.echo("no webhooks; 'weighbridge webhook add URL' makes one")
    else:
        print_table(
            ["ID", "URL", "EVENTS", "STATE", "SENT UP TO", "WHY"],
            [[str(each.id), each.url, _wanted(each), _state(each), str(each.position), _why(each)] for each in found],
            right=["ID", "SENT UP TO"],
            clipped=["WHY"],
            styles=_STYLES,
        )


@webhook.command(short_help="Change the URL, the description or the secret of a webhook.")
@click.argument("webhook_id", metavar="ID", type=int)
@click.option("--url", metavar="URL", help="Where to from now on.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--secret-file", type=click.Path(), metavar="FILE", help="Sign with the text in FILE from now on.")
@global_options
@pass_options
def update(
    options: GlobalOptions, webhook_id: int, url: str | None, description: str | None, secret_file: str | None
) -> None:
    """Change what is given of the webhook ID; what fails is tried again at once.

    \b
    Examples:
      weighbridge webhook update 1 --url https://ci.example.com/new
      weighbridge webhook update 1 --secret-file secret.txt
    """
    secret = None if secret_file is None else _secret(secret_file)
    with options.connect() as client:
        changed = client.update_webhook(webhook_id, url=url, description=description, secret=secret)
    _print(options, changed, "changed")


@webhook.command(short_help="Send nothing more, until it is resumed.")
@click.argument("webhook_id", metavar="ID", type=int)
@global_options
@pass_options
def pause(options: GlobalOptions, webhook_id: int) -> None:
    """Have the webhook ID send nothing until it is resumed, when it goes on where it was: it misses nothing.

    \b
    Examples:
      weighbridge webhook pause 1
    """
    with options.connect() as client:
        changed = client.update_webhook(webhook_id, paused=True)
    _print(options, changed, "is paused")


@webhook.command(short_help="Go on where it was paused.")
@click.argument("webhook_id", metavar="ID", type=int)
@global_options
@pass_options
def resume(options: GlobalOptions, webhook_id: int) -> None:
    """Have the webhook ID, which is paused, go on where it was; one that fails tries again at once.

    To pass over what it missed, 'weighbridge webhook replay' it from a later revision first.

    \b
    Examples:
      weighbridge webhook resume 1
    """
    with options.connect() as client:
        changed = client.update_webhook(webhook_id, paused=False)
    _print(options, changed, "goes on")


@webhook.command(short_help="Send everything from a revision on again.")
@click.argument("webhook_id", metavar="ID", type=int)
@click.option(
    "--from",
    "from_revision",
    type=click.IntRange(min=1),
    metavar="REVISION",
    required=True,
    help="The first that is sent, as 'journal list' has it.",
)
@global_options
@pass_options
def replay(options: GlobalOptions, webhook_id: int, from_revision: int) -> None:
    """Have the webhook ID send all that it wants from a revision on, again or for the first time.

    Each event has the revision that it had, by which the receiver knows those that it took. A later revision than the
    next passes over what lies between.

    \b
    Examples:
      weighbridge webhook replay 1 --from 40
      weighbridge webhook replay 1 --from 1     # the whole history
    """
    with options.connect() as client:
        changed = client.replay_webhook(webhook_id, from_revision)
    _print(options, changed, f"sends from revision {from_revision} on")


@webhook.command(short_help="Remove a webhook, its secret and its log.")
@click.argument("webhook_id", metavar="ID", type=int)
@global_options
@pass_options
def rm(options: GlobalOptions, webhook_id: int) -> None:
    """Remove the webhook ID, its secret and its log. That it was there stays in the journal.

    \b
    Examples:
      weighbridge webhook rm 1
    """
    with options.connect() as client:
        client.delete_webhook(webhook_id)
    if options.json:
        print_json({"id": webhook_id})
    elif not options.quiet:
        print_facts(f"removed webhook {webhook_id}", [])


@webhook.command(short_help="Send a test now, and say what came of it.")
@click.argument("webhook_id", metavar="ID", type=int)
@global_options
@click.pass_context
@pass_options
def test(options: GlobalOptions, context: click.Context, webhook_id: int) -> None:
    """Have the server post a signed test, which is no event, to the webhook ID. Exits with 3 when it is not taken.

    Its action is webhook.test and its revision 0.

    \b
    Examples:
      weighbridge webhook test 1
    """
    with options.connect() as client:
        delivery = client.test_webhook(webhook_id)
    if options.json:
        print_json(_delivery_document(delivery))
    elif not options.quiet:
        print_facts(
            f"webhook {webhook_id}: the test {'was taken' if delivery.ok else 'was not taken'}",
            [("result", _result(delivery)), ("took", f"{delivery.duration_ms} ms"), ("delivery", delivery.delivery_id)],
        )
    if not delivery.ok:
        context.exit(FOUND_SOMETHING)


@webhook.command(short_help="List what a webhook sent, and what came of it.")
@click.argument("webhook_id", metavar="ID", type=int)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@global_options
@pass_options
def deliveries(options: GlobalOptions, webhook_id: int, limit: int) -> None:
    """List each try of the webhook ID to send an event, the newest first. The newest 1,000 are kept.

    \b
    Examples:
      weighbridge webhook deliveries 1
      weighbridge webhook deliveries 1 --limit 1000 --json
    """
    with options.connect() as client:
        found = list(islice(client.webhook_deliveries(webhook_id), limit))
    if options.json:
        print_json({"deliveries": [_delivery_document(each) for each in found]})
    elif options.quiet:
        for each in found:
            click.echo(each.delivery_id)
    elif not found:
        click.echo(f"webhook {webhook_id} has sent nothing yet")
    else:
        print_table(
            ["REVISION", "TRY", "TIME", "TOOK", "RESULT", "DELIVERY"],
            [
                [
                    str(each.revision) if each.revision else "test",
                    str(each.attempt),
                    moment(each.time),
                    f"{each.duration_ms} ms",
                    _result(each),
                    each.delivery_id,
                ]
                for each in found
            ],
            right=["REVISION", "TRY", "TOOK"],
        )


def _secret(file: str) -> str:
    """Without the line break that editors and echo put behind it."""
    return read_text(file, "secret", LONGEST_SECRET + 2).removesuffix("\n").removesuffix("\r")


def _print(options: GlobalOptions, changed: Webhook, how: str) -> None:
    if options.json:
        print_json(_document(changed))
    elif options.quiet:
        click.echo(changed.id)
    else:
        print_facts(f"webhook {changed.id} {how}", _facts(changed))


def _facts(shown: Webhook) -> list[tuple[str, str]]:
    facts = [
        ("url", shown.url),
        ("events", _wanted(shown)),
        ("description", shown.description),
        ("state", _state(shown)),
        ("why", _why(shown)),
        ("sent up to", f"revision {shown.position}"),
    ]
    return [(name, value) for name, value in facts if value]


def _wanted(shown: Webhook) -> str:
    """``fraud@production alias.promoted``."""
    return " ".join([shown.target + (f"@{shown.alias}" if shown.alias else ""), *shown.actions])


def _state(shown: Webhook) -> str:
    return "paused" if shown.paused else "failing" if shown.failures else "on"


def _why(shown: Webhook) -> str:
    if shown.paused or not shown.failures or shown.last_delivery is None:
        return shown.paused_reason
    return f"{_result(shown.last_delivery)}, try {shown.failures}"


def _result(delivery: WebhookDelivery) -> str:
    return delivery.error or f"answered {delivery.http_status}"


def _document(shown: Webhook) -> dict[str, Any]:
    since, again, last = shown.failing_since_time, shown.next_try_time, shown.last_delivery
    return {
        "id": shown.id,
        "url": shown.url,
        "target": shown.target,
        "alias": shown.alias,
        "actions": list(shown.actions),
        "description": shown.description,
        "actor": shown.actor,
        "created_time": rfc3339(shown.created_time),
        "position": shown.position,
        "paused": shown.paused,
        "paused_reason": shown.paused_reason,
        "failures": shown.failures,
        "failing_since_time": None if since is None else rfc3339(since),
        "next_try_time": None if again is None else rfc3339(again),
        "last_delivery": None if last is None else _delivery_document(last),
    }


def _delivery_document(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "webhook_id": delivery.webhook_id,
        "revision": delivery.revision,
        "attempt": delivery.attempt,
        "time": rfc3339(delivery.time),
        "http_status": delivery.http_status,
        "error": delivery.error,
        "duration_ms": delivery.duration_ms,
    }
