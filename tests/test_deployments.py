"""What nodes say that they run, and what of it should not: real reports to a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from weighbridge.wire import convert


@pytest.fixture
def pushed(client: wb.Client, new_model: Callable[[], str], tmp_path: Path) -> Callable[..., str]:
    """Pushes a version of a new model, or of the one that is named; returns its reference."""
    name = new_model()

    def push(content: str = "weights", *, model: str = name, description: str = "", metrics: bool = False) -> str:
        path = tmp_path / "weights.bin"
        path.write_text(f"{model} {content}")
        measured = {"accuracy": 0.9} if metrics else {}
        return client.push(model, path, description=description, metrics=measured, capture=False).version.ref

    return push


@contextmanager
def stopping(server: RunningServer) -> Iterator[None]:
    """Stops it at the end."""
    try:
        yield
    finally:
        server.stop()


def actions(client: wb.Client, model: str) -> list[str]:
    """What the journal says of a model's deployments."""
    return [event.action for event in client.events(model=model, action="deployment.")]


def test_a_node_s_reports_are_one_event_until_it_runs_something_else(
    client: wb.Client, pushed: Callable[..., str]
) -> None:
    first, second = pushed("one"), pushed("two")
    model = first.partition(":")[0]
    began = client.report_deployment(node="eu-7", ref=first)
    again = [client.report_deployment(node="eu-7", ref=first, ttl_s=30) for _ in range(5)][-1]
    assert (began.ref, began.alias, began.live, began.ttl_s) == (first, "production", True, 60)
    assert (again.since_time, again.ttl_s) == (began.since_time, 30)
    assert again.reported_time > began.reported_time
    moved = client.report_deployment(node="eu-7", ref=second)
    assert moved.since_time > began.since_time
    assert [found.ref for found in client.deployments(model)] == [second]
    assert client.retire_deployment(node="eu-7", model=model) == 1
    assert client.retire_deployment(node="eu-7") == 0
    assert list(client.deployments(model)) == []
    assert actions(client, model) == ["deployment.started", "deployment.changed", "deployment.retired"]
    assert client.report_deployment(node="eu-7", ref=second).since_time > moved.since_time
    client.verify_journal()


def test_the_change_of_what_is_followed_is_an_event_too(client: wb.Client, pushed: Callable[..., str]) -> None:
    ref = pushed()
    model = ref.partition(":")[0]
    client.report_deployment(node="eu-7", ref=ref)
    client.report_deployment(node="eu-7", ref=ref, alias="canary")
    (event,) = client.events(model=model, action="deployment.changed")
    assert (json.loads(event.before)["alias"], json.loads(event.after)["alias"]) == ("production", "canary")
    assert event.resource == f"{model}#node:eu-7"


@pytest.mark.long
def test_many_nodes_come_in_order_and_in_pages(client: wb.Client, pushed: Callable[..., str]) -> None:
    ref = pushed()
    model = ref.partition(":")[0]
    nodes = [f"node-{n:04}" for n in range(620)]
    for node in reversed(nodes):
        client.report_deployment(node=node, ref=ref)
    assert [found.node for found in client.deployments(model)] == nodes
    assert [found.node for found in client.deployments(ref=ref, live=True)] == nodes
    assert len(actions(client, model)) == len(nodes)


def test_what_runs_by_its_digest_is_known_or_is_a_zombie(client: wb.Client, pushed: Callable[..., str]) -> None:
    unknown = "b3:" + "ab" * 32
    client.report_deployment(node="edge-1", digest=unknown)
    (zombie,) = [each for each in client.zombies().zombies if each.deployment.node == "edge-1"]
    assert zombie.reasons == (wb.ZombieReason.UNREGISTERED,)
    assert (zombie.deployment.model, zombie.deployment.ref) == ("", "")
    assert client.retire_deployment(node="edge-1") == 1

    ref = pushed()
    digest = "b3:" + client.version(ref).manifest.hex()
    assert client.report_deployment(node="edge-2", digest=digest).ref == ref
    assert client.report_deployment(node="edge-2", digest=digest).ref == ref
    assert actions(client, ref.partition(":")[0]) == ["deployment.started"]


def test_what_is_registered_later_is_no_longer_unregistered(
    client: wb.Client, pushed: Callable[..., str], new_model: Callable[[], str]
) -> None:
    ref = pushed("known")
    digest = "b3:" + client.version(ref).manifest.hex()
    client.delete_version(ref, reason="to see whether the same content comes back")
    client.report_deployment(node="edge-3", digest=digest)
    assert wb.ZombieReason.DELETED in client.zombies(ref.partition(":")[0]).zombies[0].reasons
    again = pushed("known")
    assert client.report_deployment(node="edge-3", digest=digest).ref == again


def test_every_kind_of_zombie_is_found_with_what_is_wrong(client: wb.Client, pushed: Callable[..., str]) -> None:
    old, new = pushed("old", description="d", metrics=True), pushed("new", description="d", metrics=True)
    model = old.partition(":")[0]
    client.promote(old, wb.Stage.STAGING)
    client.promote(old, wb.Stage.PRODUCTION)
    client.report_deployment(node="eu-7", ref=old)
    assert client.zombies(model, grace_s=0).zombies == ()

    client.promote(new, wb.Stage.STAGING)
    client.promote(new, wb.Stage.PRODUCTION)  # the old one is archived
    (zombie,) = client.zombies(model, grace_s=0).zombies
    assert zombie.reasons == (wb.ZombieReason.ARCHIVED, wb.ZombieReason.BEHIND)
    assert new in zombie.message
    assert client.zombies(model, grace_s=3600).zombies[0].reasons == (wb.ZombieReason.ARCHIVED,)

    client.report_deployment(node="eu-7", ref=new)
    assert client.zombies(model, grace_s=0).zombies == ()
    assert client.zombies(model).undocumented == ()


def test_what_counts_is_the_content_that_the_alias_points_at(client: wb.Client, pushed: Callable[..., str]) -> None:
    first, other, again = pushed("same"), pushed("other"), pushed("same")
    model = first.partition(":")[0]
    digest = "b3:" + client.version(first).manifest.hex()
    for stage in ("staging", "production"):
        client.promote(first, stage)
    assert client.report_deployment(node="by-digest", digest=digest).ref == first, "the one that production points at"
    client.report_deployment(node="by-ref", ref=again)
    assert client.zombies(model, grace_s=0).zombies == ()
    for stage in ("staging", "production"):
        client.promote(other, stage)
    assert [zombie.reasons for zombie in client.zombies(model, grace_s=0).zombies] == [
        (wb.ZombieReason.ARCHIVED, wb.ZombieReason.BEHIND),
        (wb.ZombieReason.BEHIND,),
    ]
    client.rollback(f"{model}@production", reason="worse")
    assert client.zombies(model, grace_s=0).zombies == ()


def test_an_alias_that_goes_on_moving_leaves_a_node_as_far_behind_as_it_is(
    empty_database: str, data_dir: Path, tmp_path: Path
) -> None:
    """Its moves are spread over hours in the database: tests do not wait."""
    server = RunningServer(data_dir, ("--database", empty_database)).start()
    with stopping(server), server.connect() as client:
        for content in ("one", "two", "three"):
            (tmp_path / "weights.bin").write_text(content)
            client.push("a.b.c", tmp_path / "weights.bin", capture=False)
        client.set_alias("a.b.c", "blue", 1)
        client.report_deployment(node="stuck", ref="a.b.c:1", alias="blue")
        client.report_deployment(node="lost", ref="a.b.c:3", alias="blue")

        def since() -> dict[str, str]:
            with psycopg.connect(empty_database, autocommit=True) as database:
                database.execute("UPDATE deployment SET since_time = '2026-01-01T00:30:00Z'")
                database.execute(
                    "UPDATE event SET time = '2026-01-01T00:00:00Z'::timestamptz + revision * interval '1 h'"
                )
            found = client.zombies("a.b.c", grace_s=60).zombies
            return {zombie.deployment.node: zombie.message.partition("since ")[2] for zombie in found}

        def at(event: int) -> str:
            return f"2026-01-01T{event:02}:00:00Z"

        began = "2026-01-01T00:30:00Z"
        assert since() == {"lost": began}, "it never pointed there"
        (first, second, third, fourth) = (client.set_alias("a.b.c", "blue", to).revision for to in (2, 1, 2, 3))
        assert since() == {"stuck": at(third)}, "it left, came back, and left again"
        last = client.set_alias("a.b.c", "blue", 2).revision
        client.delete_alias("a.b.c", "blue")
        assert since() == {"stuck": at(third), "lost": at(last)}
        assert (second, third, fourth) == (first + 1, first + 2, first + 3)


def test_what_runs_is_shown_with_the_version_and_holds_its_model(
    client: wb.Client, run_cli: RunCli, pushed: Callable[..., str]
) -> None:
    ref = pushed()
    model = ref.partition(":")[0]
    assert "runs on" not in run_cli("show", ref).out
    for number in range(12):
        client.report_deployment(node=f"eu-{number:02}", ref=ref)
    shown = run_cli("show", ref).out
    assert "eu-00, eu-01" in shown
    assert f"2 more, which 'weighbridge deployments {ref}' lists" in shown.replace("\n", " ").replace("  ", "")
    assert [each["node"] for each in run_cli("show", ref, "--json").json["deployments"]][10:] == ["eu-10", "eu-11"]
    with pytest.raises(wb.ModelInUse) as refusal:
        client.delete_model(model, reason="x")
    assert refusal.value.violations[0].path == "deployments.eu-00"
    for number in range(12):
        client.retire_deployment(node=f"eu-{number:02}", model=model)
    assert client.delete_model(model, reason="x").deletion is not None


def test_no_alias_no_zombie_but_a_warning_where_nothing_is_said(client: wb.Client, pushed: Callable[..., str]) -> None:
    ref = pushed()
    model = ref.partition(":")[0]
    client.report_deployment(node="eu-7", ref=ref)
    found = client.zombies(model, grace_s=0)
    assert found.zombies == ()
    assert [warning.message for warning in found.undocumented] == [f"{ref} has no description and no metrics"]


def test_a_node_that_went_silent_is_a_zombie(empty_database: str, data_dir: Path, tmp_path: Path) -> None:
    """Its report is made old in the database: tests do not wait."""
    path = tmp_path / "weights.bin"
    path.write_text("weights")
    server = RunningServer(data_dir, ("--database", empty_database)).start()
    with stopping(server), server.connect() as client:
        ref = client.push("a.b.c", path, capture=False).version.ref
        client.report_deployment(node="eu-7", ref=ref)
        with psycopg.connect(empty_database, autocommit=True) as database:
            database.execute("UPDATE deployment SET reported_time = now() - interval '61 s'")
        (zombie,) = client.zombies().zombies
        assert zombie.reasons == (wb.ZombieReason.SILENT,)
        assert not zombie.deployment.live
        assert list(client.deployments(live=True)) == []
        assert client.report_deployment(node="eu-7", ref=ref).live
        assert client.zombies().zombies == ()


def test_a_version_that_runs_is_not_deleted(client: wb.Client, pushed: Callable[..., str]) -> None:
    ref = pushed()
    client.report_deployment(node="eu-7", ref=ref)
    client.report_deployment(node="eu-8", ref=ref)
    with pytest.raises(wb.VersionInUse) as refused:
        client.delete_version(ref, reason="no longer wanted")
    assert [violation.path for violation in refused.value.violations] == ["deployments.eu-7", "deployments.eu-8"]
    client.retire_deployment(node="eu-7")
    client.retire_deployment(node="eu-8")
    client.delete_version(ref, reason="no longer wanted")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"node": "", "ref": "a.b.c:1"}, wb.InvalidRequest),
        ({"node": "x" * 257, "ref": "a.b.c:1"}, wb.InvalidRequest),
        ({"node": "two\nlines", "ref": "a.b.c:1"}, wb.InvalidRequest),
        ({"node": "n", "ref": "a.b.c:1", "ttl_s": 0}, wb.InvalidRequest),
        ({"node": "n", "ref": "a.b.c:1", "alias": "No Alias"}, wb.InvalidReference),
        ({"node": "n", "ref": "not-there.b.c:1"}, wb.ModelNotFound),
        ({"node": "n", "digest": "b3:12"}, wb.InvalidReference),
        ({"node": "n"}, wb.UsageError),
        ({"node": "n", "ref": "a.b.c:1", "digest": "b3:" + "00" * 32}, wb.UsageError),
    ],
)
def test_reports_that_cannot_be_are_refused(
    client: wb.Client, arguments: dict[str, str], error: type[wb.WeighbridgeError]
) -> None:
    with pytest.raises(error):
        client.report_deployment(**arguments)  # type: ignore[arg-type]


@pytest.mark.long
def test_the_command_line_lists_them_and_exits_with_3_for_zombies(
    client: wb.Client, pushed: Callable[..., str], run_cli: RunCli
) -> None:
    old, new = pushed("old"), pushed("new")
    model = old.partition(":")[0]
    client.report_deployment(node="ü-7", ref=old)
    listed = run_cli("deployments", model)
    assert "ü-7" in listed.out
    assert old in listed.out
    assert [each["ref"] for each in run_cli("deployments", old, "--json").json["deployments"]] == [old]
    assert run_cli("deployments", new, "--json").json == {"deployments": []}
    assert run_cli("zombies", model).code == 0
    for ref in (old, new):
        client.promote(ref, wb.Stage.STAGING)
        client.promote(ref, wb.Stage.PRODUCTION)
    found = run_cli("zombies", model, "--json")
    assert found.code == 3
    assert found.json["zombies"][0]["reasons"] == ["archived"]
    assert found.json["undocumented"][0]["reasons"] == ["undocumented"]
    assert run_cli("retire", "ü-7", model).out == "retired 1 deployment of ü-7\n"
    assert run_cli("zombies", model).code == 0


def test_more_zombies_than_a_message_holds_are_counted() -> None:
    version = wb.Deployment(
        node="n" * 200,
        model="a.b.c",
        ref="a.b.c:1",
        manifest=bytes(32),
        alias="production",
        stage=wb.Stage.ARCHIVED,
        actor="bob",
        since_time=datetime.now(UTC),
        reported_time=datetime.now(UTC),
        ttl_s=60,
        live=True,
    )
    zombie = wb.Zombie(version, (wb.ZombieReason.ARCHIVED,), "archived " * 10)
    message = convert.zombies_message(wb.Zombies([zombie] * 10_000, [zombie] * 10_000))
    assert 2 * 2**20 < message.ByteSize() < 4 * 2**20
    found = convert.zombies_value(message)
    assert len(found.zombies) + len(found.undocumented) + found.left_out == 20_000
    assert found.undocumented == ()
