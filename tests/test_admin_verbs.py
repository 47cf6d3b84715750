"""``token``, ``grant``, ``principal`` and ``whoami``, as a person types them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from auth_fixtures import AskingWho, asking
from conftest import WEIGHBRIDGE, Ran

__all__ = ["asking"]
Run = Callable[..., Ran]


@pytest.fixture
def run(asking: AskingWho) -> Run:
    """Runs the CLI as the administrator, or with another token."""

    def command(*arguments: str, token: str | None = None) -> Ran:
        held = asking.admin_token if token is None else token
        environment = {**os.environ, "WEIGHBRIDGE_SERVER": asking.server.address, "WEIGHBRIDGE_TOKEN": held}
        done = subprocess.run(
            [*WEIGHBRIDGE, *arguments],
            capture_output=True,
            text=True,
            env={**environment, "COLUMNS": "200"},
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return command


@pytest.mark.long
def test_somebody_new_gets_a_token_and_a_role(asking: AskingWho, run: Run) -> None:
    made = run("token", "create", "ci-fraud", "--service", "--description", "nightly", "--ttl", "90d")
    assert made.code == 0
    assert "ci-fraud, who is new" in made.out
    assert "weighbridge grant add ci-fraud" in made.out
    (text,) = [word for word in made.out.split() if word.startswith("wb_")]
    assert run("whoami", "-q", token=text).out == "ci-fraud\n"
    assert "nothing yet" in run("whoami", token=text).out
    refused = run("models", token=text)
    assert refused.code == 1
    assert "weighbridge grant add ci-fraud reader" in refused.err

    granted = run("grant", "add", "ci-fraud", "contributor", "fraud")
    assert (granted.code, granted.out) == (0, "ci-fraud has the role contributor on fraud\n")
    assert run("grant", "add", "ci-fraud", "contributor", "fraud").code == 0, "once more changes nothing"
    assert run("models", token=text).code == 0
    mine = run("whoami", "--json", token=text).json
    assert (mine["actor"], mine["authenticated"], mine["kind"]) == ("ci-fraud", True, "service")
    assert [(each["role"], each["scope"]) for each in mine["grants"]] == [("contributor", "fraud")]

    (listed,) = run("token", "list", "ci-fraud", "--json").json["tokens"]
    assert (listed["description"], listed["live"], listed["token_id"]) == ("nightly", True, mine["token_id"])
    assert listed["expires_time"] > listed["created_time"]
    assert run("grant", "rm", "ci-fraud", "contributor", "fraud").out == (
        "ci-fraud has the role contributor on fraud no more\n"
    )
    assert run("grant", "list", "ci-fraud").out.startswith("nothing is granted")
    assert run("token", "revoke", mine["token_id"]).out == f"token {mine['token_id']} of ci-fraud is revoked\n"
    assert "was revoked" in run("whoami", token=text).err
    assert "revoked" in run("token", "list", "ci-fraud").out
    assert [event.action for event in asking.admin().events(resource="principal/ci-fraud")] == [
        "principal.created",
        "token.created",
        "grant.set",
        "grant.revoked",
        "token.revoked",
    ]


@pytest.mark.long
def test_a_token_alone_is_what_a_script_takes(run: Run, asking: AskingWho) -> None:
    text = run("token", "create", "-q", "scripted").out.strip()
    assert asking.connect(text).whoami().actor == "scripted"
    assert run("token", "revoke", text).code == 0, "by its text, of which only the id is sent"
    assert text[-20:] not in asking.server.log.read_text()
    cut = run("token", "revoke", text[3:])
    assert "no token of that id" in cut.err
    assert text[-20:] not in cut.err + asking.server.log.read_text()
    document = run("token", "create", "scripted", "--json").json
    assert document["principal_created"] is False
    assert asking.connect(document["token"]).whoami().token_id == document["token_id"]
    assert run("token", "list", "-q", "scripted").out.split()[1] == document["token_id"]


@pytest.mark.long
def test_scopes_are_read_as_they_are_written(run: Run) -> None:
    run("token", "create", "scoped")
    for scope in ("fraud", "*", "fraud@production", "*@production", "fraud.tabular.x@champion"):
        assert run("grant", "add", "scoped", "maintainer", scope).code == 0
    found = run("grant", "list", "scoped", "--json").json["grants"]
    assert [each["scope"] for each in found] == [
        "*",
        "*@production",
        "fraud",
        "fraud@production",
        "fraud.tabular.x@champion",
    ]
    assert run("grant", "list", "-q", "scoped").out.splitlines()[0] == "scoped maintainer *"


def test_somebody_is_shut_out(run: Run) -> None:
    text = run("token", "create", "-q", "leaving").out.strip()
    assert run("principal", "disable", "leaving").out == "leaving is disabled\n"
    assert "leaving is disabled" in run("whoami", token=text).err
    assert "weighbridge principal enable leaving" in run("token", "create", "leaving").err
    listed = {each["name"]: each for each in run("principal", "list", "--json").json["principals"]}
    assert listed["leaving"]["disabled_by"] == "admin"
    assert "leaving" in run("principal", "list").out
    assert run("principal", "enable", "leaving").out == "leaving is enabled\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("grant", "add", "admin", "owner", "fraud"), 2, "owner"),
        (("grant", "add", "admin", "reader", "fraud@"), 1, "fraud@production"),
        (("grant", "add", "admin", "reader", "fraud@UP"), 1, "not an alias"),
        (("grant", "add", "admin", "reader", "a..b"), 1, "not a prefix"),
        (("grant", "add", "nobody-there", "reader", "fraud"), 1, "there is no principal 'nobody-there'"),
        (("grant", "rm", "admin", "reader", "fraud"), 1, "has not the role reader on fraud"),
        (("grant", "rm", "admin", "admin", "*"), 1, "nobody who can administer"),
        (("grant", "list", "nobody-there"), 1, "nobody-there"),
        (("token", "list", "nobody-there"), 1, "nobody-there"),
        (("token", "create", "Not A Name"), 1, "alice"),
        (("token", "create", "admin", "--ttl", "soon"), 1, "90d"),
        (("token", "create", "admin", "--ttl", "11000d"), 1, "ten years"),
        (("token", "revoke", "0123456789abcdef"), 1, "weighbridge token list"),
        (("principal", "disable", "admin"), 1, "nobody who can administer"),
    ],
)
def test_mistakes_say_what_was_meant(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


@pytest.mark.long
def test_who_may_not_administer_is_told_who_may(asking: AskingWho, run: Run, tmp_path: Path) -> None:
    text = asking.token(("maintainer", "*"), name="mighty").text
    for arguments in (("token", "create", "mallory"), ("principal", "list"), ("grant", "add", "mighty", "admin", "*")):
        ran = run(*arguments, token=text)
        assert ran.code == 1
        assert "PERMISSION_DENIED" in ran.err
        assert "admin can grant it with 'weighbridge grant add mighty admin \"*\"'" in ran.err
    assert "mallory" not in run("principal", "list", "-q").out
    # An admin of a prefix grants below it, and nowhere else.
    local = asking.token(("admin", "local"), name="local-admin").text
    assert run("grant", "add", "mighty", "approver", "local.a", token=local).code == 0
    assert run("grant", "add", "mighty", "approver", "other", token=local).code == 1
    assert run("principal", "list", token=local).code == 1
