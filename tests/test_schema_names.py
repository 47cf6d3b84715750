"""What a model may be called: three segments, or what the schema of its prefix says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from raw_client import RawClient, refused
from weighbridge.v1 import models_pb2


@pytest.fixture
def prefix(new_model: Callable[[], str]) -> str:
    """A project of the test's own."""
    return new_model().replace(".", "-")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Something to push."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return path


def pattern(regular_expression: str) -> dict[str, Any]:
    """A schema that sets a pattern of names, and asks for nothing else."""
    return {"properties": {"model": {"pattern": regular_expression}}}


def test_a_pattern_takes_the_place_of_the_three_segments(
    client: wb.Client, run_cli: RunCli, prefix: str, weights: Path, tmp_path: Path
) -> None:
    client.set_schema(prefix, pattern(rf"^{prefix}\.[A-Z]\w+(\.v[0-9]+)?$"))
    name = f"{prefix}.BigModel_XL.v2"
    pushed = client.push(name, weights)
    assert pushed.version.ref == f"{name}:1"
    assert client.create_model(f"{prefix}.Small").name == f"{prefix}.Small"
    assert [model.name for model in client.models() if model.name.startswith(prefix)] == [name, f"{prefix}.Small"]
    assert client.resolve(f"{name}:1").model == client.resolve(name).model == name
    assert client.resolve(f"{name}#b3:{pushed.version.manifest.hex()}").ref == f"{name}:1"
    assert (client.pull(name, tmp_path / "out") / "weights.bin").read_bytes() == b"weights"
    assert [event.resource for event in client.events(model=name)] == [name, f"{name}:1"]
    assert run_cli("versions", name, "-q").out == f"{name}:1\n"
    for refuse in (lambda: client.push(f"{prefix}.tabular.transformer", weights), lambda: client.create_model(prefix)):
        with pytest.raises(wb.InvalidName, match=f"the schema of {prefix}, revision 1, sets the pattern") as raised:
            refuse()
        assert [violation.path for violation in raised.value.violations] == ["name"]
        assert rf"does not match ^{prefix}\." in raised.value.violations[0].message


def test_without_a_pattern_names_have_three_segments(client: wb.Client, prefix: str, weights: Path) -> None:
    client.set_schema(prefix, {"properties": {"model": {"title": "a name"}}})
    for name, places in {
        f"{prefix}.a": ["name"],
        f"{prefix}.A.b": ["name.task"],
        f"{prefix}.a_b.c.d": ["name", "name.task"],
    }.items():
        for refuse in (
            lambda name=name: client.push(name, weights),
            lambda name=name: client.create_model(name),
            lambda name=name: client.model(name),
            lambda name=name: client.resolve(f"{name}:1"),
            lambda name=name: list(client.versions(name)),
            lambda name=name: list(client.events(model=name)),
        ):
            with pytest.raises(wb.InvalidName) as raised:
                refuse()
            assert [violation.path for violation in raised.value.violations] == places


def test_only_the_longest_prefix_says_what_names_are(client: wb.Client, prefix: str) -> None:
    client.set_schema(prefix, pattern("^[a-z0-9.-]+$"))
    client.set_schema(f"{prefix}.strict", {})
    name = f"{prefix}.strict"
    with pytest.raises(wb.InvalidName, match=r"it is project\.task\.architecture"):
        client.create_model(f"{name}.x.y")
    assert client.create_model(f"{name}.x").name == f"{name}.x"
    assert client.create_model(f"{prefix}.other").name == f"{prefix}.other"


def test_models_keep_their_names_when_a_pattern_comes_later(client: wb.Client, prefix: str, weights: Path) -> None:
    name = f"{prefix}.a.b"
    client.push(name, weights)
    client.set_schema(prefix, pattern(f"^{prefix}\\.x\\."))
    assert client.model(name).latest_version == 1
    assert client.resolve(name).ref == f"{name}:1"
    assert client.update_model(name, team="t").team == "t"
    with pytest.raises(wb.SchemaViolated) as raised:
        client.push(name, weights)
    assert [violation.path for violation in raised.value.violations] == ["model"]
    client.set_schema(name, pattern(""))
    assert client.push(name, weights).version.version == 2


@pytest.mark.parametrize(
    "name", ["", ".", "a.", "a b", "ä.b.c", "a/b.c", "a:b@c.d", "-a.b.c", "_a.b.c", "a.b.c.d.e.f.g.h.i", "a" * 64]
)
def test_no_pattern_lets_in_what_would_not_be_a_reference(server: RunningServer, prefix: str, name: str) -> None:
    with RawClient(server.address) as raw, server.connect() as client:
        client.set_schema("a", pattern(""))
        for refusal in (
            refused(lambda: raw.models.CreateModel(models_pb2.CreateModelRequest(name=name))),
            refused(lambda: raw.begin(name)),
        ):
            assert refusal.reason in ("INVALID_NAME", "INVALID_REQUEST")


def test_what_cannot_be_a_name_is_refused_here_already() -> None:
    with wb.connect("127.0.0.1:1") as client, pytest.raises(wb.InvalidName) as raised:
        client.resolve("fraud.tab ular.transformer")
    assert [violation.path for violation in raised.value.violations] == ["name.task"]
