"""What is listed over all models has what its caller reads, whole pages of it, and nothing else; chunks too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

import weighbridge as wb
from alias_fixtures import pushed
from auth_fixtures import AskingWho, asking
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.v1 import (
    models_pb2,
    models_pb2_grpc,
    transfer_pb2,
    transfer_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
)

__all__ = ["asking"]
MINE = ["narrow.mine", "narrow.mine.b.c", "narrow.mine.z.z", "narrow.staged.x.y"]
OTHERS = ["aaa.first.thing", "narrow.mine-not.b", "narrow.minewt.b", "narrow.other.x", "zzz.last.thing"]
ANY_NAME = '{"properties": {"model": {"pattern": "."}}}'


@dataclass
class World:
    """Models of two kinds, and somebody who reads one of them."""

    admin: wb.Client
    reader: wb.Client
    token: str


@pytest.fixture(scope="module")
def world(asking: AskingWho, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Below ``narrow.mine``, and by a role on an alias of ``narrow.staged``: four models to read, others between."""
    admin, folder = asking.admin(), tmp_path_factory.mktemp("world")
    admin.set_schema("*", ANY_NAME)
    for model in (*MINE, *OTHERS):
        pushed(admin, model, 2, folder)
    new = asking.token(("reader", "narrow.mine"), ("maintainer", "narrow.staged@production"))
    return World(admin, asking.connect(new.text), new.text)


def models_by_one(asking: AskingWho, token: str) -> Iterator[str]:
    """Names of models, a page for each."""
    with grpc.insecure_channel(asking.server.address) as channel:
        stub, page = models_pb2_grpc.ModelServiceStub(channel), ""
        while True:
            request = models_pb2.ListModelsRequest(page_size=1, page_token=page)
            answer = stub.ListModels(request, metadata=(("authorization", f"Bearer {token}"),))
            assert len(answer.models) == 1
            yield answer.models[0].name
            page = answer.next_page_token
            if not page:
                return


@pytest.mark.long
def test_models(asking: AskingWho, world: World) -> None:
    assert [model.name for model in world.reader.models()] == MINE
    assert list(models_by_one(asking, world.token)) == MINE
    assert {model.name for model in world.admin.models()} >= {*MINE, *OTHERS}
    world.admin.delete_model("narrow.mine.z.z", reason="for now")
    world.admin.delete_model(OTHERS[0], reason="for now")
    try:
        assert [model.name for model in world.reader.models()] == [MINE[0], MINE[1], MINE[3]]
        assert [model.name for model in world.reader.models(deleted=True)] == ["narrow.mine.z.z"]
    finally:
        world.admin.restore_model("narrow.mine.z.z")
        world.admin.restore_model(OTHERS[0])


@pytest.mark.parametrize("order", ["", "version", "model desc", "bytes_total, model", "params.x desc"])
@pytest.mark.parametrize("condition", ["", "version > 0", 'model.startsWith("narrow")', "params.x == 1 || version < 9"])
def test_search(world: World, condition: str, order: str) -> None:
    found = [version.ref for version in world.reader.search(condition, order_by=order)]
    assert sorted(found) == sorted(f"{model}:{number}" for model in MINE for number in (1, 2))
    everything = [version.ref for version in world.admin.search(condition, order_by=order)]
    assert found == [ref for ref in everything if ref.rpartition(":")[0] in MINE], "in the same order"


def test_search_pages(asking: AskingWho, world: World) -> None:
    refs, page = [], ""
    with grpc.insecure_channel(asking.server.address) as channel:
        stub = versions_pb2_grpc.VersionServiceStub(channel)
        while True:
            request = versions_pb2.ListVersionsRequest(page_size=3, page_token=page, filter="version > 0")
            answer = stub.ListVersions(request, metadata=(("authorization", f"Bearer {world.token}"),))
            refs += [version.ref for version in answer.versions]
            page = answer.next_page_token
            if not page:
                break
            assert len(answer.versions) == 3, "a page is full, however much is left out of it"
    assert len(refs) == len(set(refs)) == 8


def test_versions_with_a_manifest_are_searched_among_what_one_reads(
    asking: AskingWho, world: World, tmp_path: Path
) -> None:
    weights = tmp_path / "same.bin"
    weights.write_bytes(b"the same everywhere")
    for model in (MINE[1], OTHERS[0]):
        made = world.admin.push(model, weights, capture=False)
    with grpc.insecure_channel(asking.server.address) as channel:
        request = versions_pb2.ListVersionsRequest(manifest_digest=format_digest(made.version.manifest))
        stub = versions_pb2_grpc.VersionServiceStub(channel)
        answer = stub.ListVersions(request, metadata=(("authorization", f"Bearer {world.token}"),))
    assert [version.ref for version in answer.versions] == [f"{MINE[1]}:3"]
    world.admin.delete_version(f"{MINE[1]}:3", reason="as it was")


def test_deployments_and_zombies(asking: AskingWho, world: World) -> None:
    for model in (MINE[1], OTHERS[0]):
        world.admin.report_deployment(node="everywhere", ref=f"{model}:1")
    world.admin.report_deployment(node="stray", digest=f"b3:{'1' * 64}")
    assert [each.model for each in world.reader.deployments()] == [MINE[1]]
    assert {each.deployment.model for each in world.reader.zombies().undocumented} == {MINE[1]}
    assert not world.reader.zombies().zombies
    assert {each.deployment.node for each in world.admin.zombies().zombies} == {"stray"}
    # What it is told by a digest alone is what it may know: the same bytes elsewhere are no version to it.
    hidden = world.admin.resolve(f"{OTHERS[0]}:1").manifest
    said = world.reader.report_deployment(node="mine", digest=format_digest(hidden))
    assert (said.model, said.ref) == ("", "")
    assert world.reader.retire_deployment(node="everywhere") == 1
    assert [each.model for each in world.admin.deployments() if each.node == "everywhere"] == [OTHERS[0]]


def test_schemas_and_policies(world: World) -> None:
    rules = [wb.PolicyRule("any", "true")]
    for prefix in ("narrow", "narrow.mine.b", "aaa"):
        world.admin.set_schema(prefix, ANY_NAME)
        world.admin.set_policy(prefix, "staging", rules)
    assert [schema.prefix for schema in world.reader.schemas()] == ["*", "narrow", "narrow.mine.b"]
    assert [policy.prefix for policy in world.reader.policies()] == ["narrow", "narrow.mine.b"]
    assert world.reader.schema("*").prefix == "*"
    assert world.reader.policy("narrow.mine.b.c", "staging").prefix == "narrow.mine.b"
    for refused in (
        lambda: world.reader.schema("aaa"),
        lambda: world.reader.policy("aaa.first.thing", "staging"),
        lambda: world.reader.policies("aaa"),
        lambda: list(world.reader.check_schema("*")),
    ):
        with pytest.raises(wb.PermissionDenied):
            refused()


def test_lineage_leaves_out_what_one_does_not_read(asking: AskingWho, world: World, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    grandparent = f"{MINE[1]}:1"
    parent = f"{OTHERS[0]}:{push_from(world.admin, OTHERS[0], grandparent, weights)}"
    child = f"{MINE[2]}:{push_from(world.admin, MINE[2], parent, weights)}"
    seen = world.reader.lineage(child)
    assert {node.version.ref for node in seen.nodes} == {child, grandparent}
    assert not seen.edges
    assert not seen.truncated
    assert {node.version.ref for node in world.admin.lineage(child).nodes} == {child, parent, grandparent}
    with pytest.raises(wb.PermissionDenied):
        world.reader.lineage(parent)


def push_from(client: wb.Client, model: str, parent: str, weights: Path) -> int:
    """Pushes a version made from another; its number."""
    weights.write_bytes(os.urandom(100))
    return client.push(model, weights, parent=parent, capture=False).version.version


# -- chunks: knowing a digest gives nothing ----------------------------------------------------------


@pytest.mark.parametrize(
    ("grants", "known"),
    [
        ([("contributor", "pusher")], False),
        ([("contributor", "pusher"), ("reader", "chunked.else")], False),
        ([("contributor", "pusher"), ("reader", "chunked")], True),
        ([("contributor", "pusher"), ("reader", "*")], True),
    ],
)
def test_a_chunk_is_present_for_who_reads_a_version_that_holds_it(
    asking: AskingWho, tmp_path: Path, grants: list[tuple[str, str]], *, known: bool
) -> None:
    raw = os.urandom(1000)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(raw)
    model = f"chunked.a.m{len(grants)}{grants[-1][1].replace('.', '').replace('*', 'all')}"
    asking.admin().push(model, weights, capture=False)
    new = asking.token(*grants)
    asking.connect(new.text).create_model(f"pusher.a.{new.token.token_id}")
    metadata = (("authorization", f"Bearer {new.text}"),)
    with grpc.insecure_channel(asking.server.address) as channel:
        versions = versions_pb2_grpc.VersionServiceStub(channel)
        begun = versions_pb2.BeginVersionRequest(model=f"pusher.a.{new.token.token_id}")
        upload_id = versions.BeginVersion(begun, metadata=metadata).upload_id
        asked = transfer_pb2.FindMissingChunksRequest(upload_id=upload_id, digests=[chunk_digest(raw)])
        missing = transfer_pb2_grpc.TransferServiceStub(channel).FindMissingChunks(asked, metadata=metadata).missing
    assert list(missing) == ([] if known else [chunk_digest(raw)])


def test_what_one_sent_before_is_not_sent_again(asking: AskingWho, tmp_path: Path) -> None:
    """And what others hold is sent, and stored once."""
    weights = tmp_path / "weights.bin"
    weights.write_bytes(os.urandom(100_000))
    asking.admin().push("once.theirs.x", weights, capture=False)
    client = asking.somebody(("contributor", "once.mine"))
    first, second = (client.push(f"once.mine.{name}", weights, capture=False) for name in ("a", "b"))
    assert (first.chunks_sent, second.chunks_sent) == (1, 0)


def test_an_upload_is_its_owners(asking: AskingWho) -> None:
    one, other = (asking.token(("contributor", "owned")) for _ in range(2))
    asking.connect(one.text).create_model(f"owned.a.{one.token.token_id}")
    with grpc.insecure_channel(asking.server.address) as channel:
        versions = versions_pb2_grpc.VersionServiceStub(channel)
        request = versions_pb2.BeginVersionRequest(model=f"owned.a.{one.token.token_id}")
        upload_id = versions.BeginVersion(request, metadata=(("authorization", f"Bearer {one.text}"),)).upload_id
        with pytest.raises(grpc.RpcError) as refused:
            versions.AbortVersion(
                versions_pb2.AbortVersionRequest(upload_id=upload_id),
                metadata=(("authorization", f"Bearer {other.text}"),),
            )
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        renewed = versions.RenewUpload(
            versions_pb2.RenewUploadRequest(upload_id=upload_id), metadata=(("authorization", f"Bearer {one.text}"),)
        )
    assert renewed.upload_id == upload_id
