"""Who calls: tokens that are shown once, end when they are told to, and are nowhere but with their owner."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psycopg
import pytest

import weighbridge as wb
from alias_fixtures import pushed
from auth_fixtures import AskingWho, asking
from conftest import WEIGHBRIDGE, RunningServer
from weighbridge.core.principals import parse_token
from weighbridge.v1 import admin_pb2, admin_pb2_grpc
from weighbridge_server.domain.access.authentication import secret_hash

__all__ = ["asking"]


def sql(server: RunningServer, statement: str) -> list[tuple[object, ...]]:
    """Rows of the server's own database."""
    with psycopg.connect(database_of(server), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def database_of(server: RunningServer) -> str:
    """The conninfo of a running server's embedded database."""
    lines = (server.data / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()
    return f"host={lines[4]} port={lines[3]} user=weighbridge dbname=weighbridge"


@contextmanager
def raw(asking: AskingWho) -> Iterator[tuple[admin_pb2_grpc.AdminServiceStub, tuple[tuple[str, str | bytes], ...]]]:
    """The service's stub, and the metadata of the administrator's calls."""
    with grpc.insecure_channel(asking.server.address) as channel:
        yield admin_pb2_grpc.AdminServiceStub(channel), (("authorization", f"Bearer {asking.admin_token}"),)


@pytest.fixture
def own(data_dir: Path) -> Iterator[AskingWho]:
    """A server of a test's own."""
    asking = AskingWho(RunningServer(data_dir, arguments=("--auth",)).start())
    yield asking
    asking.close()


# -- the first administrator ---------------------------------------------------------------------


def test_the_first_start_leaves_a_token_that_only_its_owner_reads(asking: AskingWho) -> None:
    file = asking.server.data / "admin.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = asking.admin().whoami()
    assert (found.actor, found.authenticated) == ("admin", True)
    assert [(str(each.grant.role), each.grant.prefix, each.grant.alias) for each in found.grants] == [
        ("admin", "*", "")
    ]
    (told,) = [line for line in asking.server.log_lines() if "could administer" in line["event"]]
    assert told["file"] == str(file)
    assert asking.admin_token not in asking.server.log.read_text()


@pytest.mark.long
def test_a_restart_keeps_everything_and_makes_no_other_administrator(own: AskingWho) -> None:
    token, alice = own.admin_token, own.token(("reader", "*"), name="alice").text
    own.server.stop()
    own.server.start()
    assert own.admin_token == token
    assert own.connect(alice).whoami().actor == "alice"
    assert [each.name for each in own.admin().principals()] == ["admin", "alice"]
    # Nobody is left who could administer it: then, and only then, the next start makes a new token.
    sql(own.server, "UPDATE token SET revoked_time = now(), revoked_by = 'x' WHERE description LIKE 'made by%'")
    own.server.stop()
    own.server.start()
    assert own.admin_token != token
    assert own.admin().whoami().actor == "admin"
    with pytest.raises(wb.Unauthenticated, match="was revoked"):
        own.connect(token).whoami()


def test_without_auth_anybody_is_somebody_unproven(server: RunningServer, client: wb.Client) -> None:
    found = client.whoami()
    assert found.actor.startswith("unauthenticated:")
    assert (found.authenticated, found.kind, found.grants) == (False, None, [])
    assert not (server.data / "admin.token").exists()
    with wb.connect(server.address, token="wb_0123456789abcdef_whatever") as other:
        assert other.whoami().actor == found.actor, "a token is not looked at"
    for refused in (
        lambda: client.create_principal("mallory"),
        lambda: client.create_token("admin"),
        lambda: client.grant("mallory", "admin", "*"),
        lambda: list(client.tokens()),
    ):
        with pytest.raises(wb.WrongState, match="--auth"):
            refused()


@pytest.mark.long
def test_a_token_that_cannot_be_left_is_not_made(own: AskingWho) -> None:
    own.server.stop()
    file = own.server.data / "admin.token"
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    own.server.start()
    sql(own.server, "UPDATE token SET revoked_time = now(), revoked_by = 'x'")
    own.server.stop()
    with pytest.raises(AssertionError, match="cannot write the administrator's token"):
        own.server.start()
    (file / "in the way").rmdir()
    file.rmdir()
    own.server.start()
    assert own.admin().whoami().actor == "admin"
    ((made,),) = sql(own.server, "SELECT count(*) FROM token")
    assert made == 2, "the one that could not be left is not there"


# -- tokens ---------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_as_a_hash(asking: AskingWho) -> None:
    new = asking.token(("reader", "fraud"), name="once")
    read = parse_token(new.text)
    assert read is not None
    token_id, secret = read
    assert token_id == new.token.token_id
    assert new.text not in repr(new)
    asking.connect(new.text).whoami()
    ((kept,),) = sql(asking.server, f"SELECT secret_hash FROM token WHERE token_id = '{token_id}'")
    assert isinstance(kept, bytes)
    assert kept == secret_hash(secret)
    (listed,) = asking.admin().tokens("once")
    assert (listed.token_id, listed.live) == (token_id, True)
    dump = database_dump(asking.server)
    assert token_id in dump, "the dump has what there is"
    of_admin = parse_token(asking.admin_token)
    assert of_admin is not None
    for hidden in (secret, of_admin[1]):
        assert hidden not in dump
        assert hidden not in asking.server.log.read_text()


def database_dump(server: RunningServer) -> str:
    """Every row of every table, as text."""
    tables = sql(server, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    return "\n".join(str(sql(server, f'SELECT t::text FROM "{name}" t')) for (name,) in tables)


def test_a_wrong_secret_proves_nothing_and_says_nothing(asking: AskingWho) -> None:
    new = asking.token()
    asking.connect(new.text).whoami()
    told = set()
    for wrong in (
        f"wb_{new.token.token_id}_{'A' * 43}",
        f"wb_{'0' * 16}_{'A' * 43}",
        new.text[:-1],
        new.text[3:],
        "admin",
        "wb__",
        f"{new.text}x",
    ):
        with pytest.raises(wb.Unauthenticated) as refused:
            asking.connect(wrong).whoami()
        told.add(refused.value.message)
    assert len(told) == 1, "neither the id nor the secret is said to be right"


def test_a_revoked_token_works_no_more(asking: AskingWho) -> None:
    new = asking.token(("reader", "*"))
    client = asking.connect(new.text)
    client.whoami()
    ended = asking.admin().revoke_token(new.token.token_id)
    assert not ended.live
    assert ended.revoked_by == "admin"
    with pytest.raises(wb.Unauthenticated, match=f"{new.token.token_id} was revoked"):
        client.whoami()
    again = asking.admin().revoke_token(new.token.token_id)
    assert again == ended
    assert len([event for event in events(asking, new.token.principal) if event.action == "token.revoked"]) == 1


def test_an_expired_token_works_no_more(asking: AskingWho) -> None:
    new = asking.admin().create_token(asking.token().token.principal, ttl_s=3600)
    assert new.token.expires_time is not None
    client = asking.connect(new.text)
    # As if an hour had gone by, before it is looked up for the first time.
    sql(asking.server, f"UPDATE token SET expires_time = now() WHERE token_id = '{new.token.token_id}'")
    with pytest.raises(wb.Unauthenticated, match="has expired"):
        client.whoami()
    assert [each.live for each in asking.admin().tokens(new.token.principal)] == [True, False]


def test_a_disabled_principal_loses_its_tokens_for_good(asking: AskingWho) -> None:
    new = asking.token(("contributor", "gone"), name="leaver")
    client, admin = asking.connect(new.text), asking.admin()
    client.create_model("gone.a.b")
    assert admin.disable_principal("leaver").disabled_by == "admin"
    with pytest.raises(wb.Unauthenticated, match="leaver is disabled"):
        client.whoami()
    with pytest.raises(wb.WrongState, match="principal enable leaver"):
        admin.create_token("leaver")
    with pytest.raises(wb.PrincipalExists):
        admin.create_principal("leaver")
    assert admin.enable_principal("leaver").disabled_time is None
    with pytest.raises(wb.Unauthenticated):
        client.whoami()
    assert asking.connect(admin.create_token("leaver").text).model("gone.a.b").creator == "leaver", "the roles stayed"
    assert [event.action for event in events(asking, "leaver")] == [
        "principal.created",
        "grant.set",
        "token.created",
        "principal.disabled",
        "principal.enabled",
        "token.created",
    ]


def events(asking: AskingWho, principal: str) -> list[wb.Event]:
    return list(asking.admin().events(resource=f"principal/{principal}"))


def test_a_lost_answer_is_made_good_by_another_secret(asking: AskingWho) -> None:
    """A retry of CreateToken: one token, and of its secrets the last alone."""
    principal = asking.token().token.principal
    request = admin_pb2.CreateTokenRequest(request_id="once", principal=principal)
    with raw(asking) as (stub, metadata):
        first, second = (stub.CreateToken(request, metadata=metadata) for _ in range(2))
        assert first.token == second.token
        assert first.text != second.text
        with pytest.raises(wb.Unauthenticated):
            asking.connect(first.text).whoami()
        asking.connect(second.text).whoami()
        with pytest.raises(grpc.RpcError) as refused:  # it is in use: nobody takes it from its owner by asking again
            stub.CreateToken(request, metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    asking.connect(second.text).whoami()
    assert len(list(asking.admin().tokens(principal))) == 2


@pytest.mark.long
def test_somebody_is_always_left_who_can_administer(own: AskingWho) -> None:
    admin = own.admin()
    (first,) = admin.tokens("admin")
    for refused in (
        lambda: admin.revoke_token(first.token_id),
        lambda: admin.revoke_grant("admin", "admin", "*"),
        lambda: admin.disable_principal("admin"),
    ):
        with pytest.raises(wb.WrongState, match="nobody who can administer"):
            refused()
    own.token(("admin", "*"), name="root2")
    assert admin.disable_principal("admin").disabled_by == "admin"


# -- what the token comes from, and what is done with it ----------------------------------------------


def test_the_journal_and_the_log_have_the_name(asking: AskingWho, tmp_path: Path) -> None:
    writer = asking.somebody(("contributor", "named"), ("reader", "named"), name="writer.bot-1")
    model = pushed(writer, "named.a.b", 1, tmp_path)
    assert {event.actor for event in writer.events(model=model)} == {"writer.bot-1"}
    assert writer.version(f"{model}:1").creator == "writer.bot-1"
    assert "writer.bot-1" in {line["actor"] for line in asking.server.log_lines() if line["event"] == "call"}


@pytest.fixture
def file_token(asking: AskingWho, tmp_path: Path) -> Path:
    """A token in a file."""
    path = tmp_path / "token"
    path.write_text(f"{asking.token(('reader', 'filed')).text}\n")
    return path


def test_a_token_comes_from_a_file(
    asking: AskingWho, file_token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_TOKEN_FILE", str(file_token))
    assert asking.connect().whoami().authenticated
    monkeypatch.setenv("WEIGHBRIDGE_TOKEN", asking.admin_token)
    assert asking.connect().whoami().actor == "admin", "the nearer one"
    monkeypatch.delenv("WEIGHBRIDGE_TOKEN")
    for held in (None, b"", b"\xff\xfe", b"x" * 10_000):
        path = tmp_path / "held"
        path.unlink(missing_ok=True)
        if held is not None:
            path.write_bytes(held)
        monkeypatch.setenv("WEIGHBRIDGE_TOKEN_FILE", str(path))
        with pytest.raises(wb.UsageError, match="WEIGHBRIDGE_TOKEN_FILE"):
            asking.connect()


@pytest.mark.long
def test_doctor_says_what_is_wrong_with_a_token(asking: AskingWho) -> None:
    def doctor(token: str) -> dict[str, str]:
        environment = {**os.environ, "WEIGHBRIDGE_SERVER": asking.server.address, "WEIGHBRIDGE_TOKEN": token}
        done = subprocess.run([*WEIGHBRIDGE, "doctor", "--json"], capture_output=True, env=environment, check=False)
        wrong = [check for check in json.loads(done.stdout)["checks"] if not check["ok"]]
        assert done.returncode == 3
        (check,) = wrong
        assert check["name"] == "API"
        return dict(check)

    missing = doctor("")
    assert "no token came" in missing["found"]
    assert "WEIGHBRIDGE_TOKEN" in missing["advice"]
    assert "none of this server's" in doctor("wb_0123456789abcdef_x")["found"]
    powerless = doctor(asking.token().text)
    assert "reader" in powerless["found"]
    assert "grant add" in powerless["advice"]


@pytest.mark.parametrize("name", ["", "Alice", "a b", "unauthenticated:root", "a@b", "system", "x" * 64, "ä", "a\0"])
def test_names_that_could_be_taken_for_something_else_are_refused(asking: AskingWho, name: str) -> None:
    with pytest.raises(wb.InvalidName):
        asking.admin().create_principal(name)
    request = admin_pb2.CreatePrincipalRequest(name=name, kind=admin_pb2.PRINCIPAL_KIND_PERSON)
    with raw(asking) as (stub, metadata), pytest.raises(grpc.RpcError) as refused:
        stub.CreatePrincipal(request, metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.long
def test_a_server_that_strangers_can_reach_warns(data_dir: Path) -> None:
    open_server = RunningServer(data_dir, arguments=("--auth",), listen="0.0.0.0:0").start()
    open_server.stop()
    assert any("unencrypted" in line["event"] for line in open_server.log_lines())
