"""``alias``, ``promote`` and ``rollback`` as a person and a script use them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import weighbridge as wb
from alias_fixtures import pushed, stages_of, to_production
from conftest import RunCli

NewModel = Callable[[], str]
MOVED = "model alias version ref manifest_digest revision moved_time actor reason previous_ref".split()
HOSTILE = "\x1b[31mred\nerror: OK\u202e"


@pytest.fixture
def model(client: wb.Client, new_model: NewModel, tmp_path: Path) -> str:
    """A model with three versions."""
    return pushed(client, new_model(), 3, tmp_path)


@pytest.mark.parametrize("verb", ["set", "rm", "list", "history"])
def test_the_help_of_every_verb_has_examples_and_fits(run_cli: RunCli, verb: str) -> None:
    lines = run_cli("alias", verb, "--help").out.splitlines()
    assert "  Examples:" in lines
    assert max(map(len, lines)) <= 80


def test_alias_set_says_what_points_where(run_cli: RunCli, client: wb.Client, model: str) -> None:
    said = run_cli("alias", "set", f"{model}@champion", "2", "--reason", "better on cards")
    held = client.resolve(f"{model}@champion")
    assert said.out.splitlines() == [
        f"{model}@champion is {model}:2",
        f"  revision  {held.revision}",
        "  reason    better on cards",
    ]
    document = run_cli("alias", "set", f"{model}@champion", f"{model}:3", "--json").json
    assert list(document) == MOVED
    assert (document["ref"], document["previous_ref"], document["alias"]) == (f"{model}:3", f"{model}:2", "champion")
    assert run_cli("alias", "set", f"{model}@champion", "1", "-q").out == f"{model}:1\n"
    assert "before    " + f"{model}:1" in run_cli("alias", "set", f"{model}@champion", "2").out


def test_alias_set_expects_a_revision(run_cli: RunCli, client: wb.Client, model: str) -> None:
    first = run_cli("alias", "set", f"{model}@champion", "1", "--expect", "0", "--json").json["revision"]
    second = run_cli("alias", "set", f"{model}@champion", "2", "--expect", str(first), "--json").json["revision"]
    lost = run_cli("alias", "set", f"{model}@champion", "3", "--expect", str(first))
    assert (lost.code, lost.out) == (1, "")
    assert lost.err.startswith(
        f"error: REVISION_CONFLICT: {model}@champion points at {model}:2 since revision {second}"
    )
    error = run_cli("alias", "rm", f"{model}@champion", "--expect", str(first), "--json").json["error"]
    assert (error["code"], error["reason"]) == ("ABORTED", "REVISION_CONFLICT")
    assert (error["details"]["revision"], error["details"]["value"]) == (str(second), f"{model}:2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["set", "a.b.c", "1"], "error: INVALID_REFERENCE: 'a.b.c' names no alias; write NAME@ALIAS"),
        (["set", "a.b.c:1", "1"], "error: INVALID_REFERENCE: 'a.b.c:1' names no alias; write NAME@ALIAS"),
        (["set", "a.b.c@Champion", "1"], "error: INVALID_REFERENCE: 'Champion' in 'a.b.c@Champion' is not an alias"),
        (["set", "a.b.c@x", "latest"], "error: USAGE: 'latest' is not a version; write its number, such as 7"),
        (["set", "a.b.c@x", "0"], "error: USAGE: '0' is not a version; write its number, such as 7, or a.b.c:7"),
        (["set", "a.b.c@x", "a.b.d:1"], "error: USAGE: 'a.b.d:1' is not a version of a.b.c;"),
        (["set", "nobody.made.this@x", "1"], "error: MODEL_NOT_FOUND: there is no model nobody.made.this"),
        (["set", "a.b.c@production", "1"], "error: INVALID_REQUEST: alias 'production' cannot be changed so"),
        (["rm", "a.b.c@x\x1b[31m"], r"error: INVALID_REFERENCE: 'x\x1b[31m' in 'a.b.c@x\x1b[31m' is not an alias"),
        (["history", "a.b.c@x", "--at", "then"], "error: USAGE: --at 'then' is not a time such as 2026-10-01"),
        (["list", "a.b c"], "error: INVALID_NAME: 'a.b c' is not a model name"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(run_cli: RunCli, arguments: list[str], said: str) -> None:
    ran = run_cli("alias", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(said)


def test_alias_rm_and_list(run_cli: RunCli, client: wb.Client, model: str) -> None:
    assert run_cli("alias", "list", model).out.startswith("no aliases yet; 'weighbridge alias set")
    assert run_cli("alias", "list", model, "--json").json == {"aliases": []}
    client.set_alias(model, "champion", 2, reason=HOSTILE)
    to_production(client, model, 1)
    header, *rows = run_cli("alias", "list", model).out.splitlines()
    assert header.split() == ["ALIAS", "VERSION", "REVISION", "MOVED", "BY", "REASON"]
    assert [row.split()[:2] for row in rows] == [["champion", f"{model}:2"], ["production", f"{model}:1"]]
    assert r"\x1b[31mred\nerror: OK\u202e" in rows[0]
    document = run_cli("alias", "list", model, "--json").json
    assert [(item["alias"], item["version"]) for item in document["aliases"]] == [("champion", 2), ("production", 1)]
    assert document["aliases"][0]["reason"] == HOSTILE
    assert run_cli("alias", "list", model, "-q").out == "champion\nproduction\n"
    assert run_cli("alias", "rm", f"{model}@champion").out == f"removed {model}@champion\n"
    gone = run_cli("alias", "rm", f"{model}@champion", "--json")
    assert (gone.code, gone.json["error"]["reason"]) == (1, "ALIAS_NOT_FOUND")


def test_versions_and_show_name_the_aliases(run_cli: RunCli, client: wb.Client, model: str) -> None:
    client.set_alias(model, "champion", 1)
    to_production(client, model, 1)
    header, *rows = run_cli("versions", model).out.splitlines()
    assert header.split()[:3] == ["VERSION", "STAGE", "ALIASES"]
    assert rows[-1].split()[:3] == [f"{model}:1", "production", "champion"]
    listed = run_cli("versions", model, "--json").json["versions"]
    assert [version["aliases"] for version in listed] == [[], [], ["champion", "production"]]
    assert run_cli("show", f"{model}:1", "--json").json["aliases"] == ["champion", "production"]
    assert ["aliases", "champion"] in [line.split() for line in run_cli("show", f"{model}:1").out.splitlines()]


@pytest.mark.long
def test_alias_history_lists_moves_and_says_what_was_when(run_cli: RunCli, client: wb.Client, model: str) -> None:
    name = f"{model}@production"
    to_production(client, model, 1, 2)
    client.rollback(name, reason=HOSTILE)
    header, *rows = run_cli("alias", "history", name).out.splitlines()
    assert header.split() == ["REVISION", "TIME", "FROM", "TO", "ACTION", "BY", "REASON"]
    cells = [row.split() for row in rows]
    assert [row[2:5] for row in cells] == [
        [f"{model}:2", f"{model}:1", "rolled-back"],
        [f"{model}:1", f"{model}:2", "promoted"],
        ["-", f"{model}:1", "promoted"],
    ]
    assert r"\x1b[31mred\nerror: OK\u202e" in rows[0]
    moves = run_cli("alias", "history", name, "--json").json["moves"]
    assert list(moves[0]) == ["revision", "time", "actor", "action", "ref", "previous_ref", "reason"]
    assert [(move["ref"], move["action"]) for move in moves[1:]] == [(f"{model}:{n}", "alias.promoted") for n in (2, 1)]
    assert run_cli("alias", "history", name, "-q").out == f"{model}:1\n{model}:2\n{model}:1\n"

    # A time as the list prints it is that of the move, as is the one that JSON has.
    for time in (cells[1][1], moves[1]["time"]):
        then = run_cli("alias", "history", name, "--at", time)
        assert then.out.splitlines()[0].startswith(f"{name} was {model}:2 at ")
        assert "  action    alias.promoted" in then.out
        assert run_cli("alias", "history", name, "--at", time, "-q").out == f"{model}:2\n"
        (move,) = run_cli("alias", "history", name, "--at", time, "--json").json["moves"]
        assert move == moves[1]
    before = (datetime.fromisoformat(moves[2]["time"]) - timedelta(microseconds=1)).isoformat()
    nowhere = run_cli("alias", "history", name, "--at", before)
    assert (nowhere.code, nowhere.out.startswith(f"{name} pointed nowhere at ")) == (0, True)
    assert run_cli("alias", "history", name, "--at", before, "--json").json == {"moves": []}
    assert run_cli("alias", "history", name, "--at", before, "-q").out == ""
    client.promote(f"{model}:1", "archived")
    assert "pointed nowhere at" in run_cli("alias", "history", name, "--at", "9998-01-01").out
    assert run_cli("alias", "history", name).out.splitlines()[1].split()[2:5] == [f"{model}:1", "-", "cleared"]
    never = run_cli("alias", "history", f"{model}@staged")
    assert (never.code, "ALIAS_NOT_FOUND" in never.err) == (1, True)


def test_promote_says_who_is_displaced(run_cli: RunCli, client: wb.Client, model: str) -> None:
    to_production(client, model, 1)
    assert run_cli("promote", f"{model}:2", "staging").out.splitlines()[0] == f"{model}:2 is in staging"
    would = run_cli("promote", f"{model}@staging", "production", "--dry-run")
    assert (would.code, would.out.splitlines()) == (
        0,
        [f"{model}:2 would be in production", f"  displaced  {model}:1, which would go to archived"],
    )
    document = run_cli("promote", f"{model}@staging", "production", "--dry-run", "--json").json
    assert document.pop("dry_run") is True
    assert document.pop("revision") == 0
    made = run_cli("promote", f"{model}@staging", "production", "--reason", "won", "--json").json
    assert made.pop("revision") == client.resolve(f"{model}@production").revision
    assert made == document
    assert (made["stage"], made["displaced_ref"], made["displaced_stage"]) == ("production", f"{model}:1", "archived")
    assert run_cli("promote", f"{model}:3", "staging", "-q").out == f"{model}:3\n"
    last = run_cli("promote", f"{model}:3", "production")
    assert last.out.splitlines()[:2] == [
        f"{model}:3 is in production",
        f"  displaced  {model}:2, which went to archived",
    ]


@pytest.mark.long
def test_a_refused_promotion_exits_with_1_and_a_refused_dry_run_with_3(
    run_cli: RunCli, client: wb.Client, model: str
) -> None:
    refused = run_cli("promote", f"{model}:1", "production")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        f"error: WRONG_STATE: {model}:1 is in development and cannot go to production from there; "
        "it may go to staging or archived\n"
    )
    dry = run_cli("promote", f"{model}:1", "production", "--dry-run")
    assert (dry.code, dry.err) == (3, "")
    assert dry.out.startswith(f"{model}:1 would be refused production\n  WRONG_STATE  {model}:1 is in development")
    document = run_cli("promote", f"{model}:1", "production", "--dry-run", "--json")
    assert (document.code, document.json["dry_run"], document.json["error"]["reason"]) == (3, True, "WRONG_STATE")
    assert document.json["error"]["details"]["allowed"] == "staging, archived"
    quiet = run_cli("promote", f"{model}:1", "production", "--dry-run", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (3, "", "")
    client.promote(f"{model}:2", "staging")
    lost = run_cli("promote", f"{model}:1", "staging", "--dry-run", "--expect", "0", "--json")
    assert (lost.code, lost.json["error"]["reason"]) == (3, "REVISION_CONFLICT")
    nothing = run_cli("promote", f"{model}:9", "staging", "--dry-run")
    assert (nothing.code, "VERSION_NOT_FOUND" in nothing.err) == (1, True)
    assert run_cli("promote", f"{model}:1", "live").code == 2
    assert stages_of(client, model) == {1: "development", 2: "staging", 3: "development"}


@pytest.mark.long
def test_rollback_says_where_it_went(run_cli: RunCli, client: wb.Client, model: str) -> None:
    name = f"{model}@production"
    to_production(client, model, 1, 2, 3)
    seen = str(client.resolve(name).revision)
    back = run_cli("rollback", name, "--reason", "declines doubled", "--expect", seen)
    assert back.out.splitlines() == [
        f"{name} is back at {model}:2",
        f"  revision  {client.resolve(name).revision}",
        f"  before    {model}:3",
        "  reason    declines doubled",
    ]
    lost = run_cli("rollback", name, "--reason", "again", "--expect", seen)
    assert (lost.code, "REVISION_CONFLICT" in lost.err) == (1, True)
    document = run_cli("rollback", name, "--reason", "worse", "--json").json
    assert list(document) == MOVED
    assert (document["ref"], document["previous_ref"], document["reason"]) == (f"{model}:1", f"{model}:2", "worse")
    done = run_cli("rollback", name, "--reason", "worse still")
    assert (done.code, f" that is named: {model}:2, {model}:3" in done.err) == (1, True)
    assert run_cli("rollback", name, "--reason", "named", "--to", "3", "-q").out == f"{model}:3\n"
    assert run_cli("rollback", name, "--reason", "named", "--to", f"{model}:2", "-q").out == f"{model}:2\n"
    assert run_cli("rollback", name, "--reason", "x", "--to", "a.b.c:1").err.startswith("error: USAGE: 'a.b.c:1'")
    empty = run_cli("rollback", name, "--reason", " ")
    assert empty.err.splitlines()[1:] == ["  reason: is empty; a rollback has one, and the history keeps it"]
    assert run_cli("rollback", name).code == 2
    assert stages_of(client, model) == {1: "archived", 2: "production", 3: "archived"}
