"""The audit trail as a person and a script use it: listed, filtered, exported, proven against what was tampered with.

A server on a PostgreSQL of the tests' own, whose rows are changed behind its back. Each proof is made three times:
by ``journal verify`` against the server, by the same on an export (where no server helps), and by the SDK.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import rfc8785
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

import weighbridge as wb
from conftest import WEIGHBRIDGE, Ran, RunningServer
from storage_fixtures import open_storage
from weighbridge.core.errors import UsageError
from weighbridge.core.event_hash import GENESIS, event_hash, time_text
from weighbridge.core.event_text import event_line, parse_event_line
from weighbridge.journal import load_checkpoint, prove_file
from weighbridge.v1 import journal_pb2, journal_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.journal.ports import Change

NAMED = (
    ("ada", "model.created", "a.b.m"),
    ("ada", "model.created", "a.b.m-x"),
    ("bob", "version.committed", "a.b.m:1"),
    ("bob", "version.committed", "a.b.m:12"),
    ("ada", "alias.moved", "a.b.m@prod"),
    ("eve", "policy.set", "a.b.m#gate"),
    ("bob", "version.tagged", "a.b.m:1"),
    ("ada", "model.created", "a.b.m0"),
    ("ada", "model.created", "a.b.m;1"),
    ("bob", "version.committed", "a.b.m-x:1"),
    ("ada", "versions.counted", "a.b.m-x"),
    ("ada", "model.updated", "größer 🚚 \x7f\u2028\n"),
)
"""The first events: actor, action, resource."""
MORE = 2100
"""Events behind them: more than two pages."""
TOTAL = len(NAMED) + MORE
LONG = "x" * 100_000


@dataclass
class Audit:
    """A server with a journal, and its database."""

    server: RunningServer
    url: str
    changed: bool = False
    """A test did something to the journal."""

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Runs a statement behind the server's back."""
        self.changed = self.changed or not statement.startswith("SELECT")
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def run(self, *arguments: str | os.PathLike[str], server: str | None = None, **environment: str) -> Ran:
        """Runs the real CLI."""
        done = subprocess.run(
            [*WEIGHBRIDGE, "journal", *(os.fspath(argument) for argument in arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "WEIGHBRIDGE_SERVER": server or self.server.address, **environment},
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def revisions(self, *arguments: str) -> list[int]:
        """What ``journal list`` with these flags finds."""
        ran = self.run("list", "--json", *arguments)
        assert (ran.code, ran.err) == (0, "")
        return [event["revision"] for event in ran.json["events"]]

    def rewrite_from(self, revision: int, actor: str = "mallory") -> None:
        """Changes the actor of an event, and makes all hashes behind it fit again, the head's too."""
        self.changed = True
        previous = bytes(self.sql("SELECT previous_hash FROM event WHERE revision = %s", revision)[0][0])
        columns = "revision, time, actor, action, resource, before, after"
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM event WHERE revision >= %s ORDER BY revision".encode(), (revision,)
            ).fetchall()
            for number, time, who, action, resource, before, after in rows:
                who = actor if number == revision else who
                made = event_hash(
                    previous,
                    revision=number,
                    time=time,
                    actor=who,
                    action=action,
                    resource=resource,
                    before=before,
                    after=after,
                )
                connection.execute(
                    "UPDATE event SET actor = %s, previous_hash = %s, hash = %s WHERE revision = %s",
                    (who, previous, made, number),
                )
                previous = made
            connection.execute("UPDATE journal_head SET hash = %s", (previous,))

    def truncate_to(self, revision: int) -> None:
        """Removes the tail, and lets the head say that there never was one."""
        self.sql("DELETE FROM event WHERE revision > %s", revision)
        self.sql(
            "UPDATE journal_head SET revision = event.revision, hash = event.hash FROM event WHERE event.revision = %s",
            revision,
        )


@pytest.fixture(scope="module")
def whole(postgres_url: str, session_dir: Path) -> Iterator[Audit]:
    """The server, on the database that every module begins anew."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    folder = session_dir / f"audit-{uuid.uuid4().hex[:8]}"
    with open_storage(postgres_url, folder.with_suffix(".packs")) as storage:
        for number, (actor, action, resource) in enumerate(NAMED):
            with storage.catalog.transaction(actor) as tx:
                tx.record(Change(action, resource, '{"n":0}' if number else "", f'{{"n":{number}}}'))
        with storage.catalog.transaction("mill") as tx:
            for number in range(MORE):
                after = LONG if 500 <= number < 508 else f'{{"n":{number}}}'
                tx.record(Change("test.happened", "z.y.x", "", after))
    server = RunningServer(folder, arguments=("--database", postgres_url)).start()
    audit = Audit(server, postgres_url)
    audit.sql("CREATE TABLE saved_event AS SELECT * FROM event")
    audit.sql("CREATE TABLE saved_head AS SELECT * FROM journal_head")
    audit.changed = False
    yield audit
    server.stop()


@pytest.fixture
def audit(whole: Audit) -> Iterator[Audit]:
    """The server; what a test does to its journal is undone."""
    yield whole
    if whole.changed:
        whole.sql("TRUNCATE event")
        whole.sql("INSERT INTO event SELECT * FROM saved_event")
        whole.sql("UPDATE journal_head SET revision = s.revision, hash = s.hash FROM saved_head s")
        whole.changed = False


@pytest.fixture(scope="module")
def checkpoint(whole: Audit, session_dir: Path) -> Path:
    """A checkpoint of the journal as it was written."""
    path = session_dir / f"checkpoint-{uuid.uuid4().hex[:8]}.json"
    assert whole.run("checkpoint", path, "--quiet").code == 0
    return path


# -- list --------------------------------------------------------------------------------------


def test_the_whole_list_is_in_order_of_revision(audit: Audit) -> None:
    ran = audit.run("list", "--json")
    events = ran.json["events"]
    assert [event["revision"] for event in events] == list(range(1, TOTAL + 1))
    ((time, previous, hashed),) = audit.sql("SELECT time, previous_hash, hash FROM event WHERE revision = 3")
    assert events[2] == {
        "revision": 3,
        "time": time_text(time),
        "actor": "bob",
        "action": "version.committed",
        "resource": "a.b.m:1",
        "before": {"n": 0},
        "after": {"n": 2},
        "previous_hash": previous.hex(),
        "hash": hashed.hex(),
    }
    assert events[0]["before"] is None
    assert events[11]["resource"] == NAMED[11][2]
    assert events[12 + 500]["after"] == LONG  # not JSON: as text


def test_the_table_is_for_people(audit: Audit) -> None:
    lines = audit.run("list", "--until", _time_of(audit, 13).isoformat(), TZ="Etc/GMT-3").out.splitlines()
    assert lines[0].split() == ["REVISION", "TIME", "ACTION", "RESOURCE", "ACTOR"]
    assert len(lines) == 1 + len(NAMED)
    revision, day, time, action, resource, actor = lines[3].split()
    assert (revision, action, resource, actor) == ("3", "version.committed", "a.b.m:1", "bob")
    there = datetime.fromisoformat(f"{day}T{time}+03:00")
    assert there == _time_of(audit, 3).replace(microsecond=0)
    assert r"größer 🚚 \x7f\u2028\n" in lines[12]
    nobody = audit.run("list", "--actor", "nobody")
    assert nobody.out == "no events\n"
    assert audit.run("list", "--action", "version", "--model", "a.b.none").err.splitlines() == [
        "note: actions are written like version.committed; 'version.' stands for all that begin so",
        "note: there is no model a.b.none; 'weighbridge models' lists them, and a push creates one",
    ]
    assert nobody.err == "note: --actor is the whole name as the list has it, such as unauthenticated:ada\n"
    assert audit.run("list", "-q", "--actor", "eve").out == "6\n"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (("--model", "a.b.m"), [1, 3, 4, 5, 6, 7]),
        (("--model", "a.b.m-x"), [2, 10, 11]),
        (("--model", "a.b.none"), []),
        (("--resource", "a.b.m"), [1, 3, 4, 5, 6, 7]),
        (("--resource", "a.b.m:1"), [3, 7]),
        (("--resource", "a.b.m@prod"), [5]),
        (("--resource", NAMED[11][2]), [12]),
        (("--actor", "bob"), [3, 4, 7, 10]),
        (("--actor", "bo"), []),
        (("--action", "version.committed"), [3, 4, 10]),
        (("--action", "version."), [3, 4, 7, 10]),
        (("--action", "version"), []),
        (("--action", "model.", "--model", "a.b.m"), [1]),
        (("--actor", "bob", "--model", "a.b.m", "--action", "version.", "--resource", "a.b.m:1"), [3, 7]),
        (("--limit", "2"), [TOTAL - 1, TOTAL]),
        (("--limit", "2", "--actor", "bob"), [7, 10]),
        (("--limit", "100", "--actor", "bob"), [3, 4, 7, 10]),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, tuple) else "",
)
def test_filters(audit: Audit, flags: Sequence[str], found: list[int]) -> None:
    assert audit.revisions(*flags) == found


def _time_of(audit: Audit, revision: int) -> datetime:
    ((time,),) = audit.sql("SELECT time FROM event WHERE revision = %s", revision)
    assert isinstance(time, datetime)
    return time.astimezone(UTC)


def test_times_are_from_and_before(audit: Audit) -> None:
    third, sixth = _time_of(audit, 3), _time_of(audit, 6)
    assert audit.revisions("--since", third.isoformat(), "--until", sixth.isoformat()) == [3, 4, 5]
    elsewhere = sixth.astimezone(timezone(timedelta(hours=-7))).isoformat()
    assert audit.revisions("--since", time_text(third), "--until", elsewhere) == [3, 4, 5]
    assert audit.revisions("--until", (third + timedelta(microseconds=1)).isoformat()) == [1, 2, 3]
    assert audit.revisions("--until", "2020-01-01") == []
    with audit.server.connect() as client:
        local = third.astimezone().replace(tzinfo=None)  # without a zone: that of this machine
        assert [event.revision for event in client.events(since=local, until=sixth)] == [3, 4, 5]


def test_the_filters_go_by_index(audit: Audit) -> None:
    audit.sql("ANALYZE event")
    for condition in (
        "actor = 'bob' ORDER BY revision",
        "action = 'version.committed' ORDER BY revision",
        "action >= 'version.' AND action < 'version/' ORDER BY revision",
        "time < '2020-01-01' ORDER BY revision",
        "resource = 'a.b.m' OR (resource >= 'a.b.m:' AND resource < 'a.b.m;') ORDER BY revision",
    ):
        plan = "\n".join(row for (row,) in audit.sql(f"EXPLAIN SELECT * FROM event WHERE {condition} LIMIT 100"))
        assert "Seq Scan" not in plan, plan
        assert "Index" in plan


def _pages(audit: Audit, **wanted: Any) -> list[list[int]]:
    """The pages of a list, as another client asks for them."""
    pages, token = [], ""
    with grpc.insecure_channel(audit.server.address) as channel:
        stub = journal_pb2_grpc.JournalServiceStub(channel)
        while True:
            answer = stub.ListEvents(journal_pb2.ListEventsRequest(page_token=token, **wanted))
            pages.append([event.revision for event in answer.events])
            token = answer.next_page_token
            if not token:
                return pages


def test_pages(audit: Audit) -> None:
    assert _pages(audit, model="a.b.m", page_size=4) == [[1, 3, 4, 5], [6, 7]]
    assert _pages(audit, model="a.b.m", page_size=3) == [[1, 3, 4], [5, 6, 7]]
    assert _pages(audit, model="a.b.m", page_size=4, newest_first=True) == [[7, 6, 5, 4], [3, 1]]
    assert _pages(audit, actor="nobody") == [[]]
    assert [len(page) for page in _pages(audit, actor="ada", page_size=4)] == [4, 3]
    assert list(chain.from_iterable(_pages(audit, page_size=1000))) == list(range(1, TOTAL + 1))
    assert list(chain.from_iterable(_pages(audit, page_size=1000, newest_first=True))) == list(range(TOTAL, 0, -1))


def test_a_page_of_long_events_is_shorter_and_not_the_last(audit: Audit) -> None:
    first = len(NAMED) + 500
    pages = _pages(audit, resource="z.y.x", page_size=1000)
    assert list(chain.from_iterable(pages)) == list(range(len(NAMED) + 1, TOTAL + 1))
    assert first < pages[0][-1] < first + 8
    assert len(pages[0]) < len(pages[1])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--since", "soon"), "error: USAGE: --since 'soon' is not a time such as 2026-10-01"),
        (("--until", "2026-13-01"), "error: USAGE: --until '2026-13-01' is not a time"),
        (("--since", ""), "error: USAGE: --since '' is not a time"),
        (("--since", "0001-01-01T00:00+05:00"), "error: USAGE: "),
        (("--since", "2026-02-02", "--until", "2026-02-01"), "error: INVALID_REQUEST: no event is after the one time"),
        (("--model", "Nope"), "error: INVALID_NAME: 'Nope' is not a model name"),
        (("--actor", "a" * 600), "error: INVALID_REQUEST: ListEventsRequest breaks 1 of the rules"),
        (("--resource", "\udcff"), "error: INVALID_REQUEST: events cannot be asked for"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(audit: Audit, flags: Sequence[str], said: str) -> None:
    ran = audit.run("list", *flags)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(said)
    assert ran.err.count("error:") == 1


@pytest.mark.parametrize("verb", ["list", "verify", "export", "checkpoint"])
def test_the_help_of_every_verb_has_examples_and_fits(whole: Audit, verb: str) -> None:
    ran = whole.run(verb, "--help", COLUMNS="80")
    assert (ran.code, ran.err) == (0, "")
    assert "  Examples:\n    " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert f"\n  {verb}  " in whole.run(COLUMNS="80").out


# -- a journal that holds ------------------------------------------------------------------------


def test_a_journal_that_holds(audit: Audit, checkpoint: Path, tmp_path: Path) -> None:
    ((head,),) = audit.sql("SELECT hash FROM journal_head")
    expected = {"ok": True, "events": TOTAL, "revision": TOTAL, "hash": head.hex(), "checkpoint_revision": None}
    ran = audit.run("verify", "--json")
    assert (ran.code, ran.err, ran.json) == (0, "", expected)
    ran = audit.run("verify", "--checkpoint", checkpoint, "--json")
    assert (ran.code, ran.json) == (0, {**expected, "checkpoint_revision": TOTAL})
    ran = audit.run("verify", "--checkpoint", checkpoint)
    assert ran.out.startswith(f"the journal of {audit.server.address} holds\n  events      {TOTAL}, every hash")
    assert head.hex() in ran.out
    assert audit.run("verify", "-q").out == ""
    assert audit.run("export", tmp_path / "journal.jsonl").code == 0
    ran = audit.run("verify", "--file", tmp_path / "journal.jsonl", "--json", server="127.0.0.1:9")
    assert (ran.code, ran.json) == (0, expected)


def test_a_checkpoint_is_what_the_spec_says(audit: Audit, tmp_path: Path) -> None:
    ((head,),) = audit.sql("SELECT hash FROM journal_head")
    before = datetime.now(UTC)
    printed = audit.run("checkpoint")
    assert (printed.code, printed.err) == (0, "")
    document = printed.json
    assert before <= datetime.fromisoformat(document.pop("time")) <= datetime.now(UTC)
    assert document == {
        "format": "weighbridge journal checkpoint",
        "format_version": 1,
        "server": audit.server.address,
        "revision": TOTAL,
        "hash": head.hex(),
    }
    path = tmp_path / "checkpoint.json"
    path.write_text("older")
    assert f"revision  {TOTAL}" in audit.run("checkpoint", path).out
    assert json.loads(path.read_text())["hash"] == head.hex()
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.json"]


def test_a_checkpoint_of_an_earlier_revision_is_still_there(audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    for revision in (0, 1, 999, 1000, TOTAL - 1):
        rows = audit.sql("SELECT hash FROM event WHERE revision = %s", revision) or [(GENESIS,)]
        path.write_text(wb.Checkpoint("elsewhere:1", revision, bytes(rows[0][0]), datetime.now(UTC)).to_json())
        with audit.server.connect() as client:
            assert client.verify_journal(path).revision == TOTAL


def test_the_sdk_proves_and_takes_checkpoints(audit: Audit) -> None:
    told: list[tuple[int, int]] = []
    with audit.server.connect() as client:
        first = client.checkpoint()
        again = client.verify_journal(first, progress=lambda done, total: told.append((done, total)))
        event = next(client.events(newest_first=True))
    assert (first.revision, first.hash) == (again.revision, again.hash) == (TOTAL, event.hash)
    assert wb.Checkpoint.from_json(first.to_json()) == first
    assert told == sorted(told)
    assert told[-1] == (2 * TOTAL, 2 * TOTAL)
    assert {total for _, total in told} == {2 * TOTAL}


def test_progress_is_a_line_that_changes_on_a_terminal(audit: Audit) -> None:
    script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", script, *WEIGHBRIDGE, "journal", "verify"],
        capture_output=True,
        text=True,
        env={**os.environ, "WEIGHBRIDGE_SERVER": audit.server.address, "TERM": "xterm", "NO_COLOR": "1"},
        check=False,
    )
    assert done.returncode == 0
    assert "verifying the journal" in done.stdout
    assert "each on the server and here" in done.stdout
    assert f"{TOTAL}, every hash" in done.stdout


@pytest.mark.long
def test_an_empty_journal_holds(own_server: RunningServer, tmp_path: Path) -> None:
    empty = Audit(own_server, "")
    assert empty.run("list").out == "no events\n"
    assert empty.run("checkpoint", tmp_path / "c.json").code == 0
    assert empty.run("verify", "--checkpoint", tmp_path / "c.json", "--json").json["events"] == 0
    assert empty.run("export", tmp_path / "e.jsonl").out == f"exported 0 events to {tmp_path / 'e.jsonl'}\n"
    assert empty.run("verify", "--file", tmp_path / "e.jsonl", "--checkpoint", tmp_path / "c.json").code == 0
    with own_server.connect() as client:
        client.create_model("a.b.c")
        assert client.verify_journal(tmp_path / "c.json").revision == 1


# -- export --------------------------------------------------------------------------------------


def test_an_export_has_every_column_as_it_is_hashed(audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert audit.run("export", path).out == f"exported {TOTAL} events to {path}\n"
    assert audit.run("export").out == audit.run("export", "-").out == path.read_text()
    assert path.read_bytes().isascii()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    lines = path.read_text().splitlines()
    assert len(lines) == TOTAL
    previous = GENESIS
    for line in lines:  # by the spec alone, with another implementation of the canonical JSON
        event = json.loads(line)
        assert list(event) == ("revision time actor action resource before_json after_json previous_hash hash".split())
        assert event["previous_hash"] == previous.hex()
        hashed = {name: event[name] for name in ("revision", "time", "actor", "action", "resource")}
        hashed |= {"before": event["before_json"], "after": event["after_json"]}
        previous = blake3(previous + rfc8785.dumps(hashed)).digest()
        assert event["hash"] == previous.hex()
    assert json.loads(lines[11])["resource"] == NAMED[11][2]


def test_an_export_appears_whole_or_not_at_all(audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("what was there")
    audit.sql("UPDATE event SET previous_hash = '' WHERE revision = 2000")  # no hash: the client stops there
    ran = audit.run("export", path)
    assert ran.code == 1
    assert ran.err.startswith("error: DATA_LOSS: ")
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("journal.jsonl", "what was there")]


def test_an_export_that_has_no_place(audit: Audit, tmp_path: Path) -> None:
    ran = audit.run("export", tmp_path / "no" / "journal.jsonl")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: DESTINATION_UNWRITABLE: {tmp_path / 'no' / 'journal.jsonl'} cannot be written: ")
    assert audit.run("checkpoint", tmp_path).err.startswith("error: DESTINATION_UNWRITABLE: ")
    assert audit.run("export", "/dev/null").code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116 - not replaced by a file


# -- what was tampered with ----------------------------------------------------------------------


def _found(audit: Audit, checkpoint: Path, tmp_path: Path, *, without_checkpoint: bool) -> tuple[int, str]:
    """Every way to find it finds the same; returns the revision and the server's or the SDK's message."""
    against = ("--checkpoint", str(checkpoint))
    ran = audit.run("verify", "--json", *(() if without_checkpoint else against))
    assert (ran.code, ran.err, ran.json["ok"]) == (3, "", False), ran
    revision, message = ran.json["revision"], ran.json["message"]
    assert f"revision {revision}: " in message
    with audit.server.connect() as client, pytest.raises(wb.JournalBroken) as raised:
        client.verify_journal(None if without_checkpoint else checkpoint)
    assert raised.value.details["revision"] == str(revision)
    exported = tmp_path / "tampered.jsonl"
    assert audit.run("export", exported).code == 0
    alone = audit.run("verify", "--json", "--file", exported, *(() if without_checkpoint else against))
    assert (alone.code, alone.json) == (3, {"ok": False, "revision": revision, "message": message})
    return revision, message


@pytest.mark.parametrize(
    "change",
    [
        "time = time + interval '1 microsecond'",
        "actor = 'mallory'",
        "action = 'model.deleted'",
        "resource = 'a.b.m99'",
        "before = '{}'",
        "after = '{}'",
        "previous_hash = hash",
        "hash = decode(repeat('00', 32), 'hex')",
    ],
)
def test_a_changed_field_is_found(audit: Audit, checkpoint: Path, tmp_path: Path, change: str) -> None:
    revision = {"time": 1, "actor": 7, "hash": TOTAL}.get(change.split()[0], 1500)
    audit.sql(f"UPDATE event SET {change} WHERE revision = %s", revision)
    assert _found(audit, checkpoint, tmp_path, without_checkpoint=True)[0] == revision


@pytest.mark.parametrize("revision", [1, 7, 1001])
def test_a_deleted_event_is_found(audit: Audit, checkpoint: Path, tmp_path: Path, revision: int) -> None:
    audit.sql("DELETE FROM event WHERE revision = %s", revision)
    found, message = _found(audit, checkpoint, tmp_path, without_checkpoint=True)
    assert found == revision
    assert message.endswith(f"event {revision} is gone; {revision + 1} follows")


def test_a_deleted_event_whose_gap_was_closed_is_found(audit: Audit, checkpoint: Path, tmp_path: Path) -> None:
    audit.sql("DELETE FROM event WHERE revision = 7")
    audit.sql("UPDATE event SET revision = -revision WHERE revision > 7")
    audit.sql("UPDATE event SET revision = -revision - 1 WHERE revision < 0")
    audit.sql("UPDATE journal_head SET revision = revision - 1")
    assert _found(audit, checkpoint, tmp_path, without_checkpoint=True)[0] == 7


def test_two_swapped_events_are_found(audit: Audit, checkpoint: Path, tmp_path: Path) -> None:
    audit.sql("UPDATE event SET revision = -revision WHERE revision IN (4, 9)")
    audit.sql("UPDATE event SET revision = CASE revision WHEN -4 THEN 9 ELSE 4 END WHERE revision < 0")
    assert _found(audit, checkpoint, tmp_path, without_checkpoint=True)[0] == 4


def test_an_inserted_event_is_found(audit: Audit, checkpoint: Path, tmp_path: Path) -> None:
    audit.sql("UPDATE event SET revision = -revision - 1 WHERE revision >= 6")
    audit.sql("UPDATE event SET revision = -revision WHERE revision < 0")
    audit.sql(
        "INSERT INTO event SELECT 6, time, 'mallory', action, resource, before, after, hash, hash FROM event "
        "WHERE revision = 5"
    )
    audit.sql("UPDATE journal_head SET revision = revision + 1")
    assert _found(audit, checkpoint, tmp_path, without_checkpoint=True)[0] == 6


def test_an_event_that_was_added_at_the_end_is_found(audit: Audit, checkpoint: Path, tmp_path: Path) -> None:
    audit.sql(
        "INSERT INTO event SELECT revision + 1, time, 'mallory', action, resource, before, after, hash, hash "
        "FROM event WHERE revision = %s",
        TOTAL,
    )
    ran = audit.run("verify", "--json")
    assert (ran.code, ran.json["revision"]) == (3, TOTAL + 1)


@pytest.mark.parametrize("left", [1, 1000, TOTAL - 1])
def test_a_tail_that_is_gone_is_found(audit: Audit, left: int) -> None:
    """The head still names the event that is no longer there."""
    audit.sql("DELETE FROM event WHERE revision > %s", left)
    ran = audit.run("verify", "--json")
    assert (ran.code, ran.json["revision"]) == (3, left + 1)


@pytest.mark.parametrize("left", [1, 1000, TOTAL - 1])
def test_a_tail_that_was_cut_off_with_the_head_is_found_against_a_checkpoint(
    audit: Audit, checkpoint: Path, tmp_path: Path, left: int
) -> None:
    audit.truncate_to(left)
    assert audit.run("verify", "--json").json["events"] == left
    found, message = _found(audit, checkpoint, tmp_path, without_checkpoint=False)
    assert found == left + 1
    assert message.endswith(f"it ends at revision {left}, and the checkpoint was taken at revision {TOTAL}")


@pytest.mark.long
@pytest.mark.parametrize("revision", [1, 1500, TOTAL])
def test_a_history_written_anew_is_found_against_a_checkpoint(
    audit: Audit, checkpoint: Path, tmp_path: Path, revision: int
) -> None:
    audit.rewrite_from(revision)
    assert audit.run("verify", "--json").code == 0
    found, message = _found(audit, checkpoint, tmp_path, without_checkpoint=False)
    assert found == TOTAL
    assert "its hash is not that of the checkpoint" in message


@pytest.mark.long
def test_a_tail_that_was_cut_off_and_grew_again_is_found(audit: Audit, checkpoint: Path, tmp_path: Path) -> None:
    audit.truncate_to(TOTAL - 1)
    with audit.server.connect() as client:
        client.create_model("grown.again.first")
        client.create_model("grown.again.second")
    assert audit.run("verify", "--json").json["events"] == TOTAL + 1
    assert _found(audit, checkpoint, tmp_path, without_checkpoint=False)[0] == TOTAL


def test_what_was_written_after_the_checkpoint_is_not_held_against_it(audit: Audit, checkpoint: Path) -> None:
    with audit.server.connect() as client:
        client.create_model("written.after.it")
    audit.rewrite_from(TOTAL + 1)
    assert audit.run("verify", "--checkpoint", checkpoint).code == 0


def test_no_checkpoint_is_taken_of_a_journal_that_does_not_hold(audit: Audit, tmp_path: Path) -> None:
    audit.sql("UPDATE event SET actor = 'mallory' WHERE revision = 9")
    ran = audit.run("checkpoint", tmp_path / "checkpoint.json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: JOURNAL_BROKEN: the journal is broken at revision 9: ")
    assert list(tmp_path.iterdir()) == []


def test_a_journal_is_proven_while_it_grows(audit: Audit) -> None:
    def write(number: int) -> None:
        with audit.server.connect() as client:
            for turn in range(30):
                client.create_model(f"grows.meanwhile.w{number}-{turn}")

    with ThreadPoolExecutor(2) as threads, audit.server.connect() as client:
        writing = [threads.submit(write, number) for number in range(2)]
        revisions = [client.verify_journal().revision for _ in range(4)]
        for thread in writing:
            thread.result()
        assert client.verify_journal().revision == TOTAL + 60
    assert revisions == sorted(revisions)


# -- files of others -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(whole: Audit, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The first lines of an export."""
    path = tmp_path_factory.mktemp("export") / "journal.jsonl"
    assert whole.run("export", path).code == 0
    return path.read_text().splitlines()[:20]


def _edited(line: str, **members: Any) -> str:
    return json.dumps({**json.loads(line), **members})


@pytest.mark.parametrize(
    ("name", "edit", "revision"),
    [
        ("revision", lambda lines: [_edited(lines[0], revision=2), *lines[1:]], 1),
        ("time", lambda lines: [*lines[:4], _edited(lines[4], time="2026-01-01T00:00:00.000000Z"), *lines[5:]], 5),
        ("actor", lambda lines: [*lines[:4], _edited(lines[4], actor="mallory"), *lines[5:]], 5),
        ("moved", lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], 5),
        ("removed", lambda lines: [*lines[:4], *lines[5:]], 5),
        ("twice", lambda lines: [*lines[:4], *lines[3:]], 5),
        ("began later", lambda lines: lines[3:], 1),
    ],
)
def test_an_edited_export_is_found(
    exported: list[str], tmp_path: Path, name: str, edit: Callable[[list[str]], list[str]], revision: int
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(edit(exported)))
    with pytest.raises(wb.JournalBroken) as raised:
        prove_file(path, None)
    assert raised.value.details == {"revision": str(revision)}


def test_what_is_found_is_said_to_people(whole: Audit, exported: list[str], tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join([*exported[:4], *exported[5:]]))
    ran = whole.run("verify", "--file", path)
    assert (ran.code, ran.err) == (3, "")
    assert ran.out == (
        f"the journal of {path} does not hold\n"
        "  revision  5\n"
        "  found     the journal is broken at revision 5: event 5 is gone; 6 follows\n"
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "it is empty"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ('{"revision": "1"}', "its 'revision' is not a number of an event"),
        ('{"revision": true}', "its 'revision' is not a number of an event"),
        ('{"revision": 1e400}', "its 'revision' is not a number of an event"),
        ('{"revision": ' + "9" * 400 + "}", "its 'revision' is not a number of an event"),
        ('{"revision": ' + "9" * 5000 + "}", "it is not JSON"),
        ('{"revision": 2}', "its 'actor' is not a text"),
        ({"after_json": None}, "its 'after_json' is not a text"),
        ({"actor": "\ud800"}, "its 'actor' is not a text"),
        ({"time": "2026-10-01"}, "its 'time' is not a time such as"),
        ({"time": "2026-10-01T08:30:00.000000+00:00"}, "its 'time' is not a time such as"),
        ({"time": "0000-10-01T08:30:00.000000Z"}, "its 'time' is not a time such as"),
        ({"time": 7}, "its 'time' is not a time such as"),
        ({"hash": "AB"}, "its 'hash' is not 64 lowercase hex digits"),
        ({"previous_hash": 7}, "its 'previous_hash' is not 64 lowercase hex digits"),
        ("\xff", "it is not UTF-8"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_line_that_is_no_event_is_named(
    exported: list[str], tmp_path: Path, line: str | dict[str, Any], why: str
) -> None:
    path = tmp_path / "journal.jsonl"
    text = line if isinstance(line, str) else _edited(exported[1], **line)
    path.write_bytes(f"{exported[0]}\n{text}\n".encode("latin-1"))
    with pytest.raises(wb.JournalBroken, match=r"^the journal is broken at revision 2: ") as found:
        prove_file(path, None)
    assert found.value.details == {"revision": "2"}
    assert f"line 2 of {path} is not an event of an exported journal: {why}" in found.value.message
    path.write_bytes(f"{text}\n".encode("latin-1"))
    with pytest.raises(UsageError) as refused:
        prove_file(path, None)
    assert refused.value.message.startswith(f"line 1 of {path} is not an event of an exported journal: {why}")


def test_an_export_that_was_cut_within_a_line_is_found(whole: Audit, exported: list[str], tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(exported)[:-20])
    ran = whole.run("verify", "--file", path)
    assert (ran.code, ran.err) == (3, "")
    assert f"revision  {len(exported)}\n" in ran.out


CHECKPOINT: dict[str, Any] = {
    "format": "weighbridge journal checkpoint",
    "format_version": 1,
    "server": "a:1",
    "revision": 1,
    "hash": "00" * 32,
    "time": "2026-10-01T08:30:00.000000Z",
}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b" " * 100_000, "it is too long"),
        (b"[" * 60_000, "it is not JSON"),
        (b"[]", "it is not a weighbridge journal checkpoint"),
        ({"format": "another"}, "it is not a weighbridge journal checkpoint"),
        ({"format_version": 2}, "its format version is 2; this release knows 1"),
        ({"format_version": True}, "its format version is True; this release knows 1"),
        ({"revision": -1}, "its 'revision' is not a number of an event"),
        ({"revision": 1.5}, "its 'revision' is not a number of an event"),
        ({"hash": "00"}, "its 'hash' is not 64 lowercase hex digits"),
        ({"time": "today"}, "its 'time' is not a time such as"),
        ({"server": None}, "its 'server' is not a text"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes | dict[str, Any], why: str) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps({**CHECKPOINT, **content}).encode())
    with pytest.raises(UsageError) as refused:
        load_checkpoint(path)
    assert refused.value.message.startswith(f"{path} is not a checkpoint of a journal: {why}")


@pytest.mark.long
def test_files_of_others_are_refused_in_a_line(whole: Audit, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_text("not\nJSON\n")
    for flag, said in (("--checkpoint", f"{path} is not a checkpoint of"), ("--file", f"line 1 of {path} is not")):
        ran = whole.run("verify", flag, path)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
        assert ran.err.startswith(f"error: USAGE: {said}")
        refused = whole.run("verify", flag, path, "--json")
        assert (refused.code, refused.json["error"]["reason"]) == (1, "USAGE")


def test_a_checkpoint_may_have_members_of_a_later_release() -> None:
    assert wb.Checkpoint.from_json(json.dumps({**CHECKPOINT, "signature": "x"})).revision == 1


@pytest.mark.parametrize("flag", ["--checkpoint", "--file"])
def test_files_that_cannot_be_read_are_named(whole: Audit, tmp_path: Path, flag: str) -> None:
    for path in (tmp_path / "none", tmp_path):
        ran = whole.run("verify", flag, path)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(f"error: SOURCE_UNREADABLE: {path} cannot be read: ")
        assert ran.err.count("\n") == 1


_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(
        wb.Event,
        revision=st.integers(0, 2**63 - 1),
        time=st.datetimes(timezones=st.just(UTC)),
        actor=_text,
        action=_text,
        resource=_text,
        before=_text,
        after=_text,
        previous_hash=st.binary(min_size=32, max_size=32),
        hash=st.binary(min_size=32, max_size=32),
    )
)
def test_any_event_is_read_back_from_its_line(event: wb.Event) -> None:
    line = event_line(event)
    assert line.isascii()
    assert line.isprintable()
    assert parse_event_line(line.encode()) == event


@given(_text, _text, st.integers(0, 2**53 - 1))
def test_the_hashed_text_is_rfc_8785(actor: str, after: str, revision: int) -> None:
    time = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
    columns: dict[str, Any] = {"actor": actor, "action": "a", "resource": "r", "before": "", "after": after}
    canonical = rfc8785.dumps({**columns, "revision": revision, "time": "2026-10-01T08:30:00.000000Z"})
    assert event_hash(GENESIS, revision=revision, time=time, **columns) == blake3(GENESIS + canonical).digest()


@given(st.binary())
def test_no_line_brings_down_the_reader(line: bytes) -> None:
    with pytest.raises(UsageError):
        parse_event_line(line)


# -- a server that lies --------------------------------------------------------------------------


class LyingJournal(journal_pb2_grpc.JournalServiceServicer):
    """A server that says that its journal holds, whatever it serves."""

    def __init__(self, events: list[journal_pb2.Event], head: tuple[int, str], *, done: bool = True) -> None:
        self.events, self.head, self.done = events, head, done

    def VerifyJournal(self, request: Any, context: Any) -> Iterator[journal_pb2.VerifyJournalResponse]:
        """It holds."""
        revision, hashed = self.head
        yield journal_pb2.VerifyJournalResponse(
            revision=revision, hash=hashed, newest_revision=revision, done=self.done
        )

    def ListEvents(self, request: Any, context: Any) -> journal_pb2.ListEventsResponse:
        """All on one page."""
        return journal_pb2.ListEventsResponse(events=self.events)

    def Watch(self, request: Any, context: Any) -> Iterator[journal_pb2.WatchResponse]:
        """Nothing happens."""
        return iter(())


@contextmanager
def lying(events: list[journal_pb2.Event], head: tuple[int, str], *, done: bool = True) -> Iterator[wb.Client]:
    """A client of a server that serves these events."""
    server = grpc.server(ThreadPoolExecutor(4))
    journal_pb2_grpc.add_JournalServiceServicer_to_server(LyingJournal(events, head, done=done), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with wb.connect(f"127.0.0.1:{port}", retry_limit_s=0) as client:
            yield client
    finally:
        server.stop(None).wait(10)


@pytest.fixture
def served(exported: list[str]) -> list[journal_pb2.Event]:
    """Events as an honest server sends them."""
    return [convert.event_message(parse_event_line(line.encode())) for line in exported]


def test_an_honest_journal_of_that_server_holds(served: list[journal_pb2.Event]) -> None:
    with lying(served, (20, served[-1].hash)) as client:
        assert client.verify_journal().revision == 20
    with lying(served, (15, served[14].hash)) as client:  # events that came after the server had looked
        assert client.verify_journal().revision == 15


@pytest.mark.parametrize("revision", [1, 10, 20])
def test_the_client_does_not_take_the_server_s_word(served: list[journal_pb2.Event], revision: int) -> None:
    served[revision - 1].actor = "mallory"
    with lying(served, (20, served[-1].hash)) as client, pytest.raises(wb.JournalBroken) as raised:
        client.verify_journal()
    assert raised.value.details == {"revision": str(revision)}


def test_events_that_the_server_says_it_proved_must_come(served: list[journal_pb2.Event]) -> None:
    with lying(served[:12], (20, served[-1].hash)) as client, pytest.raises(wb.JournalBroken) as raised:
        client.verify_journal()
    assert raised.value.details == {"revision": "13"}
    with (
        lying([], (20, served[-1].hash)) as client,
        pytest.raises(wb.JournalBroken, match="revision 1: events 1 to"),
    ):
        client.verify_journal()


@pytest.mark.parametrize("revision", [0, 20])
def test_the_newest_must_be_the_one_that_the_server_named(served: list[journal_pb2.Event], revision: int) -> None:
    with (
        lying(served, (revision, "ab" * 32)) as client,
        pytest.raises(wb.JournalBroken, match="not the one that the server says it proved"),
    ):
        client.verify_journal()


def test_answers_that_are_none(served: list[journal_pb2.Event]) -> None:
    with lying(served, (20, served[-1].hash), done=False) as client, pytest.raises(wb.InternalError, match="without a"):
        client.verify_journal()
    with lying(served, (20, "no hash")) as client, pytest.raises(wb.DataLoss):
        client.verify_journal()
    served[4].previous_hash = ""
    with lying(served, (20, served[-1].hash)) as client, pytest.raises(wb.DataLoss, match="event 5"):
        client.verify_journal()
