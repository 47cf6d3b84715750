"""What nodes say that they run, and what of it should not: real reports to a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer


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
