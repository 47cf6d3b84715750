"""Webhooks deliver every event that they want: signed, in order, at least once, whatever fails in between."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import wait_until
from receivers import PATIENCE_S, Posted, Receiver, receiving, revisions

NewModel = Callable[[], str]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def model(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """A model of one version."""
    name = new_model()
    (tmp_path / "weights.bin").write_text(name)
    client.push(name, tmp_path / "weights.bin", capture=False)
    return name


def moves(client: wb.Client, model: str, count: int, alias: str = "champion") -> list[int]:
    """Sets and removes an alias so many times; the revisions."""
    before = len(list(client.events(resource=f"{model}@{alias}")))
    for number in range(before, before + count):
        if number % 2:
            client.delete_alias(model, alias)
        else:
            client.set_alias(model, alias, 1)
    return [event.revision for event in client.events(resource=f"{model}@{alias}")][before:]


def taken(client: wb.Client, webhook_id: int) -> list[wb.WebhookDelivery]:
    """Its log, the oldest first."""
    return list(client.webhook_deliveries(webhook_id))[::-1]


def standing(client: wb.Client, webhook_id: int) -> wb.Webhook:
    """How it stands now."""
    return next(webhook for webhook in client.webhooks() if webhook.id == webhook_id)


def test_events_come_signed_in_order_as_the_journal_has_them(client: wb.Client, model: str, receiver: Receiver) -> None:
    made = client.create_webhook(receiver.url, model)
    wanted = moves(client, model, 30)
    posted = receiver.wait(30)
    events = [each.event(made.secret) for each in posted]
    assert events == list(client.events(model=model))[-30:]
    assert [event.revision for event in events] == wanted
    for each, event in zip(posted, events, strict=True):
        assert each.headers["Content-Type"] == "application/json"
        assert each.headers["Weighbridge-Webhook-Id"] == str(made.webhook.id)
        assert each.headers["Weighbridge-Revision"] == str(event.revision)
        said = json.loads(each.body)
        assert (said["webhook_id"], said["delivery_id"]) == (made.webhook.id, each.headers["Weighbridge-Delivery-Id"])
    wait_until(lambda: standing(client, made.webhook.id).position == wanted[-1])
    log = taken(client, made.webhook.id)
    assert [(each.revision, each.attempt, each.http_status, each.error) for each in log] == [
        (revision, 1, 200, "") for revision in wanted
    ]
    assert [each.delivery_id for each in log] == [each.headers["Weighbridge-Delivery-Id"] for each in posted]


@pytest.mark.long
def test_what_a_webhook_of_everything_got_is_an_exported_journal(
    own_server: RunningServer, receiver: Receiver, tmp_path: Path, run_cli: RunCli
) -> None:
    with own_server.connect() as client:
        client.create_model("a.b.c")
        made = client.create_webhook(receiver.url, actions=["model.deleted"])  # none of what is there
        client.update_webhook(made.webhook.id, description="changed")
        everything = client.create_webhook(receiver.url)
        client.replay_webhook(everything.webhook.id, 1)
        receiver.wait_until(lambda posted: any(b"webhook.replayed" in each.body for each in posted))
    by_revision = {each.event(everything.secret).revision: each.body for each in receiver.posted}
    exported = tmp_path / "received.jsonl"
    exported.write_bytes(b"".join(body + b"\n" for _, body in sorted(by_revision.items())))
    proven = run_cli("journal", "verify", "--file", exported, "--json", address=own_server.address)
    assert (proven.code, proven.json["events"]) == (0, len(by_revision))


@pytest.mark.long
def test_what_is_refused_is_sent_again_before_what_comes_after(client: wb.Client, model: str) -> None:
    answers = iter([500, 404, 302, 0])
    with receiving(lambda posted: next(answers, 204)) as receiver:
        made = client.create_webhook(receiver.url, model)
        first, second = moves(client, model, 2)
        posted = receiver.wait(6)
        assert revisions(posted, made.secret) == [first] * 5 + [second]
        assert len({each.headers["Weighbridge-Delivery-Id"] for each in posted}) == 6
        wait_until(lambda: standing(client, made.webhook.id).position == second)
    log = taken(client, made.webhook.id)
    assert [(each.attempt, each.http_status) for each in log] == [
        (1, 500), (2, 404), (3, 302), (4, None), (5, 204), (1, 204),
    ]  # fmt: skip
    assert [each.error for each in log[:4]] == [
        "answered 500",
        "answered 404",
        "answered 302; redirects are not followed",
        "the connection was closed before an answer came",
    ]
    stands = standing(client, made.webhook.id)
    assert (stands.failures, stands.failing_since_time, stands.next_try_time) == (0, None, None)


def test_dead_and_slow_receivers_hold_up_nobody(client: wb.Client, model: str, receiver: Receiver) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        dead = client.create_webhook(f"http://127.0.0.1:{closed.getsockname()[1]}/", model)
        released = threading.Event()

        def slow(posted: Posted) -> int:
            released.wait(PATIENCE_S)
            return 200

        with receiving(slow) as stuck:
            hanging = [client.create_webhook(stuck.url, model) for _ in range(3)]
            good = client.create_webhook(receiver.url, model)
            wanted = moves(client, model, 10)
            assert revisions(receiver.wait(10), good.secret) == wanted
            assert len(stuck.wait(3)) == 3  # one on its way for each, and no more
            wait_until(lambda: standing(client, dead.webhook.id).failures > 0)
            (*_, first) = client.webhook_deliveries(dead.webhook.id)
            assert (first.revision, first.error) == (wanted[0], "the connection was refused")
            assert {standing(client, each.webhook.id).position < wanted[0] for each in hanging} == {True}
            released.set()
            stuck.wait(30)
            for each in (dead, good, *hanging):
                client.delete_webhook(each.webhook.id)


def test_a_replay_sends_again_with_the_same_revisions(client: wb.Client, model: str, receiver: Receiver) -> None:
    made = client.create_webhook(receiver.url, model)
    wanted = moves(client, model, 6)
    receiver.wait(6)
    wait_until(lambda: standing(client, made.webhook.id).position == wanted[-1])
    client.replay_webhook(made.webhook.id, wanted[2])
    assert revisions(receiver.wait(10), made.secret) == [*wanted, *wanted[2:]]
    committed = next(event.revision for event in client.events(model=model) if event.action == "version.committed")
    client.replay_webhook(made.webhook.id, committed)
    assert revisions(receiver.wait(17), made.secret)[10:] == [committed, *wanted]
    newest = max(event.revision for event in client.events())
    with pytest.raises(wb.RevisionAhead) as ahead:
        client.replay_webhook(made.webhook.id, newest + 10**6)
    assert int(ahead.value.details["newest"]) >= newest


def test_only_what_is_wanted_is_sent(
    client: wb.Client, new_model: NewModel, tmp_path: Path, receiver: Receiver
) -> None:
    first, second = new_model(), new_model()
    (tmp_path / "weights.bin").write_text("same")
    prefix = first.rpartition(".")[0]
    ways = {
        "model": client.create_webhook(receiver.url, first),
        "alias": client.create_webhook(receiver.url, prefix, alias="a"),
        "action": client.create_webhook(receiver.url, prefix, actions=["alias.deleted", "model."]),
        "longer": client.create_webhook(receiver.url, first[:-1]),
    }
    for model in (first, second):
        client.push(model, tmp_path / "weights.bin", capture=False)
        moves(client, model, 2, "a")
        moves(client, model, 1, "b")
    last = client.create_webhook(receiver.url, first)
    moves(client, first, 1, "end")

    def got(made: wb.WebhookCreated) -> list[tuple[str, str]]:
        mine = [each for each in receiver.posted if each.headers["Weighbridge-Webhook-Id"] == str(made.webhook.id)]
        return [(event.action, event.resource) for event in (each.event(made.secret) for each in mine)]

    receiver.wait_until(lambda posted: len(posted) == 6 + 4 + 4 + 1)
    assert got(ways["model"]) == [
        ("model.created", first),
        ("version.committed", f"{first}:1"),
        ("alias.set", f"{first}@a"),
        ("alias.deleted", f"{first}@a"),
        ("alias.set", f"{first}@b"),
        ("alias.set", f"{first}@end"),
    ]
    assert got(ways["alias"]) == [
        (action, f"{model}@a") for model in (first, second) for action in ("alias.set", "alias.deleted")
    ]
    assert got(ways["action"]) == [
        (action, f"{model}{at}")
        for model in (first, second)
        for action, at in (("model.created", ""), ("alias.deleted", "@a"))
    ]
    assert (got(ways["longer"]), got(last)) == ([], [("alias.set", f"{first}@end")])
    for made in (*ways.values(), last):
        client.delete_webhook(made.webhook.id)


def test_a_paused_webhook_sends_nothing_and_misses_nothing(client: wb.Client, model: str, receiver: Receiver) -> None:
    made, other = client.create_webhook(receiver.url, model), client.create_webhook(receiver.url, model)
    first = moves(client, model, 2)
    receiver.wait(4)
    paused = client.update_webhook(made.webhook.id, paused=True)
    assert (paused.paused, paused.paused_reason.startswith("paused by unauthenticated:")) == (True, True)
    missed = moves(client, model, 3)
    receiver.wait(7)
    assert [each.headers["Weighbridge-Webhook-Id"] for each in receiver.posted[4:]] == [str(other.webhook.id)] * 3
    client.delete_webhook(other.webhook.id)
    client.update_webhook(made.webhook.id, paused=False)
    receiver.wait(10)
    mine = [each for each in receiver.posted if each.headers["Weighbridge-Webhook-Id"] == str(made.webhook.id)]
    assert revisions(mine, made.secret) == [*first, *missed]


def test_another_url_is_tried_at_once_and_another_secret_signs(
    client: wb.Client, model: str, receiver: Receiver
) -> None:
    with receiving(lambda posted: 503) as refusing:
        made = client.create_webhook(refusing.url, model)
        wanted = moves(client, model, 1)
        refusing.wait(2)
        client.update_webhook(made.webhook.id, url=receiver.url, secret="another-secret-of-ours")
        assert revisions(receiver.wait(1), "another-secret-of-ours") == wanted


@pytest.mark.long
def test_a_server_that_is_killed_in_between_loses_nothing(own_server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_text("weights")
    killed, third, seen = threading.Event(), threading.Event(), itertools.count(1)

    def answer(posted: Posted) -> int:
        if next(seen) == 3:
            third.set()
            killed.wait(PATIENCE_S)
        return 200

    with receiving(answer) as receiver:
        with own_server.connect() as client:
            client.push("a.b.c", tmp_path / "weights.bin", capture=False)
            made = client.create_webhook(receiver.url, "a.b.c")
            wanted = moves(client, "a.b.c", 5)
        assert third.wait(PATIENCE_S)
        own_server.kill()
        killed.set()
        own_server.start()
        with own_server.connect() as client:
            wanted += moves(client, "a.b.c", 5)
            posted = receiver.wait(11)
            assert revisions(posted, made.secret) == [*wanted[:3], *wanted[2:]]
            assert [event.revision for event in client.events(resource="a.b.c@champion")] == wanted


def test_a_test_says_what_came_of_it(client: wb.Client, model: str, receiver: Receiver) -> None:
    made = client.create_webhook(receiver.url, model)
    delivery = client.test_webhook(made.webhook.id)
    (posted,) = receiver.wait(1)
    event = posted.event(made.secret)
    assert (delivery.ok, delivery.http_status, delivery.revision) == (True, 200, 0)
    assert (event.revision, event.action, event.resource) == (0, "webhook.test", f"webhook/{made.webhook.id}")
    client.update_webhook(made.webhook.id, url=receiver.url.replace("http:", "https:"))
    refused = client.test_webhook(made.webhook.id)
    assert (refused.ok, refused.http_status, refused.error.startswith("TLS failed")) == (False, None, True)
    assert [each.delivery_id for each in taken(client, made.webhook.id)] == [delivery.delivery_id, refused.delivery_id]
