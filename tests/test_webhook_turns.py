"""The server's side of webhooks, without a channel: turns, claims, giving up, bounds, and hostile receivers."""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from raw_client import wait_until
from receivers import PATIENCE_S, Posted, receiving, revisions
from storage_fixtures import Storage, open_storage
from weighbridge.core.errors import LimitExceeded
from weighbridge.core.webhooks import Webhook, WebhookCreated
from weighbridge_server.domain.journal.feed import Feed
from weighbridge_server.domain.webhooks import deliveries
from weighbridge_server.domain.webhooks.deliveries import Deliveries
from weighbridge_server.domain.webhooks.ports import Answer
from weighbridge_server.domain.webhooks.webhooks import MOST_WEBHOOKS, Webhooks
from weighbridge_server.http_post import HttpPost
from weighbridge_server.storage.journal_listener import JournalListener


@pytest.fixture
def storage(empty_database: str, tmp_path: Path) -> Iterator[Storage]:
    """A catalogue without events."""
    with open_storage(empty_database, tmp_path / "packs") as storage:
        yield storage


@contextmanager
def sending(storage: Storage) -> Iterator[Webhooks]:
    """A server's part that sends, as ``app.py`` puts it together."""
    feed, sender = Feed(), HttpPost()
    listener = JournalListener(storage.url, storage.catalog, feed)
    listener.start()
    turns = Deliveries(storage.catalog, feed, sender)
    turns.start()
    try:
        yield Webhooks(storage.catalog, sender)
    finally:
        turns.close()
        listener.close()


_names = itertools.count(1)


def happens(storage: Storage, count: int) -> None:
    """Events ``model.created``."""
    for _ in range(count):
        storage.models.create("ada", "", f"a.b.c{next(_names)}", "ada", "")


def made(webhooks: Webhooks, url: str, *actions: str) -> WebhookCreated:
    return webhooks.create("ada", "", url, "*", "", actions, "", "")


def standing(webhooks: Webhooks, webhook_id: int) -> Webhook:
    return next(each for each in webhooks.list(0, "")[0] if each.id == webhook_id)


def test_of_two_servers_one_delivers_at_a_time(storage: Storage) -> None:
    with receiving() as receiver, sending(storage) as webhooks, sending(storage), sending(storage):
        webhook = made(webhooks, receiver.url)
        happens(storage, 150)  # more than one turn
        got = revisions(receiver.wait(151), webhook.secret)
    assert got == list(range(1, 152)), "twice, or in another order"


def test_the_server_pauses_what_fails_for_a_day_and_says_why(storage: Storage) -> None:
    with receiving(lambda posted: 503) as receiver, sending(storage) as webhooks:
        webhook = made(webhooks, receiver.url, "model.").webhook
        happens(storage, 1)
        wait_until(lambda: standing(webhooks, webhook.id).failures == 1)
        storage.sql(
            "UPDATE webhook SET failing_since_time = now() - interval '25 hours', next_try_time = now(), failures = %s",
            deliveries.LEAST_TRIES - 1,
        )
        happens(storage, 1)  # wakes it
        wait_until(lambda: standing(webhooks, webhook.id).failures == deliveries.LEAST_TRIES)
        assert not standing(webhooks, webhook.id).paused, "too few tries: the server may have been off"
        storage.sql("UPDATE webhook SET next_try_time = now()")
        happens(storage, 1)
        paused = wait_until(lambda: next((each for each in webhooks.list(0, "")[0] if each.paused), None))
    assert paused.paused_reason == "paused by the server: nothing arrived for a day; the last try: answered 503"
    with storage.catalog.transaction() as tx:
        event = tx.events.of(f"webhook/{webhook.id}", None, 1)[0]
    assert (event.actor, event.action, "answered 503" in event.after) == ("system", "webhook.paused", True)


def test_a_cursor_moves_over_what_nobody_waits_for(storage: Storage) -> None:
    with receiving() as receiver, sending(storage) as webhooks:
        webhook = made(webhooks, receiver.url, "model.deleted").webhook
        happens(storage, 450)
        wait_until(lambda: standing(webhooks, webhook.id).position >= 250)
    assert receiver.posted == []


def test_the_log_keeps_the_newest(storage: Storage) -> None:
    with sending(storage) as webhooks:
        webhook, other = (made(webhooks, "http://127.0.0.1:9/", "model.deleted").webhook for _ in range(2))
        with storage.catalog.transaction() as tx:
            target = tx.webhooks.target(webhook.id)
            assert target is not None
            for number in range(1, 13):
                tx.webhooks.log(f"{number:032x}", target, number, 1, Answer(200, "", 1))
            tx.webhooks.trim(other.id, 0)
            tx.webhooks.trim(webhook.id, 5)
        pages: list[list[int]] = []
        token = ""
        while not pages or token:
            page, token = webhooks.deliveries(webhook.id, 2, token)
            pages.append([each.revision for each in page])
    assert pages == [[12, 11], [10, 9], [8]]


def test_there_are_at_most_so_many(storage: Storage) -> None:
    with sending(storage) as webhooks:
        first = made(webhooks, "http://127.0.0.1:9/", "model.deleted").webhook
        storage.sql(
            "INSERT INTO webhook (url, secret, target, alias, actions, description, actor, position, paused_reason) "
            "SELECT url, secret, target, alias, actions, '', '', 0, 'off' FROM webhook, generate_series(2, %s)",
            MOST_WEBHOOKS,
        )
        with pytest.raises(LimitExceeded, match="1000 webhooks are there"):
            made(webhooks, "http://127.0.0.1:9/")
        webhooks.delete("ada", "", first.id)
        made(webhooks, "http://127.0.0.1:9/", "model.deleted")


def test_a_server_that_stops_does_not_wait_for_a_receiver(storage: Storage) -> None:
    released = threading.Event()

    def never(posted: Posted) -> int:
        released.wait(PATIENCE_S)
        return 200

    with receiving(never) as receiver:
        with sending(storage) as webhooks:
            webhook = made(webhooks, receiver.url)
            receiver.wait(1)
        assert not released.is_set()
        with storage.catalog.transaction() as tx:
            stands = tx.webhooks.get(webhook.webhook.id)
        assert stands is not None
        assert (stands.position, stands.failures, stands.last_delivery) == (0, 0, None), "we ended it, not the receiver"
        released.set()
        with sending(storage):
            assert revisions(receiver.wait(2), webhook.secret) == [1, 1]


# -- receivers that mean harm ------------------------------------------------------------------


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A listener that speaks no HTTP unless ``talk`` does; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with listener.accept()[0] as connection:
                talk(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(PATIENCE_S)


def read_request(connection: socket.socket) -> None:
    """Reads up to the end of a body of ``{}``: what is left unread would reset the connection."""
    received = b""
    while not received.endswith(b"{}") and (more := connection.recv(1 << 16)):
        received += more


def dripping(connection: socket.socket) -> None:
    """Says a byte of a header now and then, for as long as somebody listens."""
    connection.settimeout(0.01)
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            try:
                if not connection.recv(1 << 16):
                    return
            except TimeoutError:
                connection.sendall(b"x")
    except OSError:
        return


def silent(connection: socket.socket) -> None:
    """Reads, and answers nothing."""
    while connection.recv(1 << 16):
        pass


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("talk", [dripping, silent])
def test_a_receiver_that_drips_or_says_nothing_is_left(talk: Callable[[socket.socket], None], scheme: str) -> None:
    with talking(talk) as place:
        answer = HttpPost(limit_s=0.4).post(f"{scheme}://{place}", {}, b"{}")
    assert answer.status is None
    if not (talk is dripping and scheme == "https"):  # whose first words are no TLS
        assert answer.error == "no answer within 0.4 s"


@pytest.fixture
def asked() -> Iterator[tuple[threading.Event, Callable[..., list[object]]]]:
    """A resolver that answers nothing, and whether it was asked."""
    begun, over = threading.Event(), threading.Event()

    def look_up(host: str, port: int, **how: object) -> list[object]:
        begun.set()
        over.wait()
        return []

    yield begun, look_up
    over.set()


def test_a_resolver_that_says_nothing_is_left(asked: tuple[threading.Event, Callable[..., list[object]]]) -> None:
    answer = HttpPost(0.1, asked[1]).post("http://receiver.invalid/", {}, b"{}")
    assert answer.error == "no answer within 0.1 s"


def test_who_ends_waits_for_no_resolver(asked: tuple[threading.Event, Callable[..., list[object]]]) -> None:
    begun, look_up = asked
    sender = HttpPost(look_up=look_up)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(sender.post, "http://receiver.invalid/", {}, b"{}")
        assert begun.wait(PATIENCE_S)
        sender.end()
        assert answer.result(PATIENCE_S / 2).error == "the connection was closed before an answer came"


def test_what_is_no_http_is_named() -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"SSH-2.0-OpenSSH\r\n")

    with talking(talk) as place:
        assert HttpPost().post(f"http://{place}", {}, b"{}").error == "the answer is not HTTP"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def talk(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                read_request(secured)
                secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        except ssl.SSLError:
            return

    with talking(talk) as place:
        refused = HttpPost().post(f"https://{place}", {}, b"{}")
    assert refused.error.startswith("the certificate is refused: self"), refused.error
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with talking(talk) as place:
        assert HttpPost().post(f"https://{place}", {}, b"{}").status == 204
