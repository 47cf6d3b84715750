"""Webhooks as they are made and changed: what is refused, what the journal says, and that the secret stays secret."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from receivers import Receiver, receiving
from weighbridge.v1 import webhooks_pb2
from weighbridge.wire.connection import Connection

NewModel = Callable[[], str]
NOWHERE = "http://127.0.0.1:9/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything."""
    with receiving() as receiver:
        yield receiver


def states(client: wb.Client, webhook_id: int) -> list[tuple[str, Any, Any]]:
    """Action, before and after of each event of a webhook."""
    return [
        (event.action, json.loads(event.before or "null"), json.loads(event.after or "null"))
        for event in client.events(resource=f"webhook/{webhook_id}")
    ]


def refused(call: Callable[[], object]) -> list[tuple[str, str]]:
    """What is wrong, all of it."""
    with pytest.raises(wb.InvalidRequest) as error:
        call()
    return [(violation.path, violation.message) for violation in error.value.violations]


WRONG: dict[str, Any] = {
    "url": "ftp://user:pass@/x y#z",
    "target": "Fraud..x",
    "alias": "Prod",
    "actions": ["alias.set", "alias", "Alias."],
    "description": "x" * 513,
    "secret": "too short",
}


def test_everything_that_is_wrong_is_said_at_once(client: wb.Client, server: RunningServer) -> None:
    connection = Connection(server.address, None)
    for found in (
        refused(lambda: client.create_webhook(**WRONG)),
        refused(lambda: connection.call(connection.webhooks.CreateWebhook, webhooks_pb2.CreateWebhookRequest(**WRONG))),
    ):
        assert [path for path, _ in found] == [
            *["url"] * 5, "target.task", "alias", "actions[1]", "actions[2]", "description", "secret", "secret",
        ]  # fmt: skip
        said = " ".join(message for _, message in found)
        for expected in ("printable ASCII", "https://", "names no host", "a user or a password", "a fragment"):
            assert expected in said
        assert "too short" not in said
    connection.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "does not begin with https"),
        ("example.com/hook", "does not begin with https"),
        ("file:///etc/passwd", "does not begin with https"),
        ("https://", "names no host"),
        ("https://:443/", "names no host"),
        ("https://user@example.com/", "a user or a password"),
        ("https://exämple.com/", "printable ASCII"),
        ("https://example.com/a b", "printable ASCII"),
        ("https://example.com:0/", "the port 0"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://example.com/\r\nHost: evil", "printable ASCII"),
        ("https://example.com/" + "x" * 2048, "at most 2048"),
    ],
)
def test_what_is_no_url_for_a_webhook_is_refused(client: wb.Client, url: str, said: str) -> None:
    assert any(path == "url" and said in message for path, message in refused(lambda: client.create_webhook(url)))


def test_what_is_not_there_is_named(client: wb.Client) -> None:
    made = client.create_webhook(NOWHERE, "nothing.below.this").webhook
    client.delete_webhook(made.id)
    for call in (
        lambda: client.update_webhook(made.id, paused=True),
        lambda: client.delete_webhook(made.id),
        lambda: client.replay_webhook(made.id, 1),
        lambda: client.test_webhook(made.id),
        lambda: list(client.webhook_deliveries(made.id)),
    ):
        with pytest.raises(wb.WebhookNotFound, match=f"no webhook {made.id}; 'weighbridge webhook list'"):
            call()
    assert refused(lambda: client.update_webhook(1)) == [
        ("request", "changes nothing; give url, description, secret or paused")
    ]
    assert refused(lambda: client.replay_webhook(0, 0))[1] == ("from_revision", "is 0; it is a number from 1")


def test_each_change_is_an_event(client: wb.Client) -> None:
    made = client.create_webhook(
        f"{NOWHERE}?key=1", "nothing.below.this", alias="a", actions=["alias.", "alias."], description="ours"
    ).webhook
    state = {
        "url": f"{NOWHERE}?…",
        "target": "nothing.below.this",
        "alias": "a",
        "actions": ["alias."],
        "description": "ours",
        "paused_reason": "",
    }
    newest = max(event.revision for event in client.events())
    client.update_webhook(made.id, description="ours")  # says nothing new
    client.update_webhook(made.id, secret="sixteen-and-more-signs", description="theirs")
    actor = client.update_webhook(made.id, paused=True).paused_reason
    client.update_webhook(made.id, paused=True)  # it is
    client.update_webhook(made.id, paused=False)
    client.replay_webhook(made.id, newest)
    client.delete_webhook(made.id)
    theirs = {**state, "description": "theirs"}
    paused = {**theirs, "paused_reason": actor}
    found = states(client, made.id)
    position = found[4][1].pop("position")
    assert position <= newest + 4
    assert found == [
        ("webhook.created", None, state),
        ("webhook.updated", state, {**theirs, "secret_changed": True}),
        ("webhook.paused", theirs, paused),
        ("webhook.resumed", paused, theirs),
        ("webhook.replayed", theirs, {**theirs, "position": newest - 1}),
        ("webhook.deleted", theirs, None),
    ]


def test_a_call_that_comes_twice_makes_one_webhook_and_the_same_secret(server: RunningServer) -> None:
    connection = Connection(server.address, None)
    request = webhooks_pb2.CreateWebhookRequest(request_id=os.urandom(8).hex(), url=NOWHERE, target="nothing.at.all")
    first, second = (connection.call(connection.webhooks.CreateWebhook, request) for _ in range(2))
    assert (first.webhook.id, first.secret) == (second.webhook.id, second.secret)
    assert len(first.secret) >= 40
    request.target = "something.else.now"
    with pytest.raises(wb.RequestIdReused):
        connection.call(connection.webhooks.CreateWebhook, request)
    connection.close()


@pytest.mark.long
def test_the_secret_is_nowhere_but_in_its_row(
    own_server: RunningServer, run_cli: RunCli, receiver: Receiver, tmp_path: Path
) -> None:
    secrets = [os.urandom(20).hex() for _ in range(3)]
    (tmp_path / "secret").write_text(secrets[0] + "\n")
    # fmt: off
    calls = [
        ("webhook", "add", f"{receiver.url}?token={secrets[1]}", "--secret-file", tmp_path / "secret"),
        ("webhook", "add", f"{receiver.url}?token={secrets[1]}", "--secret-file", tmp_path / "secret", "--json"),
        ("webhook", "test", "1"), ("model", "create", "a.b.c"),
    ]
    # fmt: on
    said = ""
    for call in calls:
        ran = run_cli(*call, address=own_server.address)
        said += ran.out + ran.err
    receiver.wait_until(lambda posted: sum(b"model.created" in each.body for each in posted) == 2)
    assert receiver.posted[0].path == f"/hook?token={secrets[1]}", "what is hidden is sent"
    for call in (
        ("webhook", "update", "1", "--secret-file", tmp_path / "secret"),
        ("webhook", "update", "1", "--url", f"{NOWHERE}?x={secrets[2]}"),
        ("webhook", "test", "1"),
        ("webhook", "list"),
        ("webhook", "list", "--json"),
        ("webhook", "deliveries", "1", "--json"),
        ("journal", "export"),
    ):
        ran = run_cli(*call, address=own_server.address)
        said += ran.out + ran.err
    said += own_server.log.read_text() + "".join(str(each.headers) + each.body.decode() for each in receiver.posted)
    assert said.count("?…") > 5
    assert not [secret for secret in secrets if secret in said]


@pytest.mark.long
def test_the_verbs(run_cli: RunCli, receiver: Receiver, new_model: NewModel, client: wb.Client) -> None:
    model = new_model()
    made = run_cli("webhook", "add", receiver.url, "--model", model, "--action", "model.", "--json").json
    number, secret = str(made["id"]), made["secret"]
    client.create_model(model)
    (posted,) = receiver.wait(1)
    assert posted.event(secret).resource == model
    assert secret not in (listed := run_cli("webhook", "list").out)
    assert receiver.url in listed
    assert f"{model} model." in listed
    paused = run_cli("webhook", "pause", number)
    assert "paused by unauthenticated:" in paused.out
    assert run_cli("webhook", "resume", number, "--json").json["paused"] is False
    revision = posted.event(secret).revision
    assert f"from revision {revision} on" in run_cli("webhook", "replay", number, "--from", str(revision)).out
    receiver.wait(2)
    tried = run_cli("webhook", "test", number)
    assert (tried.code, "the test was taken" in tried.out) == (0, True)
    log = run_cli("webhook", "deliveries", number, "--json").json["deliveries"]
    assert [each["revision"] for each in log] == [0, revision, revision]
    assert "answered 200" in run_cli("webhook", "deliveries", number).out
    run_cli("webhook", "update", number, "--url", NOWHERE)
    tried = run_cli("webhook", "test", number)
    assert (tried.code, "the connection was refused" in tried.out) == (3, True)
    assert run_cli("webhook", "rm", number).out == f"removed webhook {number}\n"
    gone = run_cli("webhook", "rm", number)
    assert (gone.code, gone.err.startswith("error: WEBHOOK_NOT_FOUND: ")) == (1, True)
    wrong = run_cli("webhook", "add", "ftp://x", "--model", "a..b", "--action", "x")
    assert (wrong.code, wrong.err.count("\n  ")) == (1, 3)


@pytest.mark.parametrize("verb", ["", "add", "list", "update", "pause", "resume", "replay", "rm", "test", "deliveries"])
def test_the_help_of_each_verb_fits_80_columns_and_has_examples(run_cli: RunCli, verb: str) -> None:
    shown = run_cli("webhook", *filter(None, [verb]), "--help").out
    assert "Examples:" in shown
    examples = shown[shown.index("Examples:") :].partition("\n\n")[0]
    assert max(map(len, examples.splitlines())) <= 80
