"""What goes in comes out, byte for byte, and only what is missing is sent."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

import weighbridge as wb
from conftest import RunningServer
from weighbridge.core.limits import CHUNK_BYTES


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A real safetensors model among the kinds of files that people have beside one."""
    root = tmp_path / "model"
    (root / "tokenizer" / "vocab").mkdir(parents=True)
    generator = numpy.random.default_rng(7)
    tensors = {f"layers.{n}.weight": generator.normal(size=(512, 700)).astype("float32") for n in range(4)}
    save_file(tensors, root / "model.safetensors")
    (root / "config.json").write_text('{"layers": 4}')
    (root / "empty.bin").touch()
    (root / "tokenizer" / "vocab" / "größe-模型-🚚.txt").write_text("ключ\n" * 1000)
    (root / "exactly-two-chunks.bin").write_bytes(os.urandom(2 * CHUNK_BYTES))
    (root / "one-over.bin").write_bytes(os.urandom(CHUNK_BYTES + 1))
    return root


def test_a_folder_comes_back_byte_for_byte(
    client: wb.Client, new_model: Callable[[], str], folder: Path, tmp_path: Path
) -> None:
    pushed = client.push(new_model(), folder)
    path = client.pull(pushed.version.ref, tmp_path / "out")
    assert contents(path) == contents(folder)
    assert (pushed.version.version, pushed.version.files_total) == (1, 6)
    assert pushed.bytes_total == pushed.version.bytes_total == sum(map(len, contents(folder).values()))


def test_a_file_keeps_its_base_name(
    client: wb.Client, new_model: Callable[[], str], folder: Path, tmp_path: Path
) -> None:
    pushed = client.push(new_model(), folder / "tokenizer" / "vocab" / "größe-模型-🚚.txt", folder / "config.json")
    path = client.pull(pushed.version.ref, tmp_path / "out")
    assert sorted(contents(path)) == ["config.json", "größe-模型-🚚.txt"]


@pytest.mark.long
def test_a_sparse_file_costs_neither_bandwidth_nor_disk(own_server: RunningServer, tmp_path: Path) -> None:
    client = own_server.connect()
    sparse = tmp_path / "sparse.bin"
    with sparse.open("wb") as file:
        file.truncate(3_000_000_000)
        file.seek(1_500_000_001)
        file.write(b"in the middle")
    pushed = client.push("a.b.c", sparse)
    assert pushed.chunks_total == 1431
    assert pushed.chunks_sent == 3  # zeros, the middle, and the shorter last chunk
    pulled = client.pull_with_counts(pushed.version.ref, tmp_path / "out")
    out = pulled.path / "sparse.bin"
    assert (pulled.chunks_received, out.stat().st_size) == (3, 3_000_000_000)
    assert out.stat().st_blocks * 512 <= 4 * CHUNK_BYTES
    assert client.verify(pulled.path).ok
    client.close()


def test_the_same_content_is_not_sent_again(client: wb.Client, new_model: Callable[[], str], folder: Path) -> None:
    first = client.push(new_model(), folder)
    again = client.push(first.version.model, folder)
    elsewhere = client.push(new_model(), folder)
    assert first.chunks_sent > 0
    assert (again.chunks_sent, again.bytes_sent, again.version.version) == (0, 0, 2)
    assert (elsewhere.chunks_sent, elsewhere.version.version) == (0, 1)
    assert {first.version.manifest, again.version.manifest, elsewhere.version.manifest} == {first.version.manifest}


@pytest.mark.long
def test_fifty_pushes_at_once_are_numbered_1_to_50(
    server: RunningServer, new_model: Callable[[], str], tmp_path: Path
) -> None:
    model = new_model()

    def push(number: int) -> int:
        path = tmp_path / f"{number}.bin"
        path.write_bytes(os.urandom(200_000))
        with server.connect() as client:
            return client.push(model, path).version.version

    with ThreadPoolExecutor(50) as threads:
        numbers = list(threads.map(push, range(50)))
    assert sorted(numbers) == list(range(1, 51))


def test_a_block_that_fails_leaves_no_version(client: wb.Client, new_model: Callable[[], str], folder: Path) -> None:
    model = client.create_model(new_model()).name
    with pytest.raises(RuntimeError, match="training diverged"), client.begin(model) as version:
        version.add(folder)
        raise RuntimeError("training diverged")
    assert list(client.versions(model)) == []
    # What the failed block had made durable by then, the next push does not send.
    assert client.push(model, folder).version.version == 1


def test_files_can_be_added_while_the_block_goes_on(
    client: wb.Client, new_model: Callable[[], str], folder: Path, tmp_path: Path
) -> None:
    with client.begin(new_model(), tags={"hardware_target": "gpu"}) as version:
        version.add(folder)
        version.log_params(lr=3e-4, layers=12, name="base", frozen=True)
        version.log_metric("loss", 0.5, step=1)
        version.log_metric("loss", 0.25, step=2)
        later = tmp_path / "optimizer.bin"
        later.write_bytes(b"state")
        version.add(later)
        version.add_dataset("transactions", "2026-10", digest="sha256:00", role="train")
        version.describe("nightly")
    assert version.result is not None
    stored = client.version(version.result.version.ref)
    assert stored.record is not None
    assert dict(stored.record.params) == {"lr": 3e-4, "layers": 12, "name": "base", "frozen": True}
    assert [type(value) for _, value in sorted(stored.record.params.items())] == [bool, int, float, str]
    assert dict(stored.record.tags) == {"hardware_target": "gpu"}
    assert stored.record.datasets == (wb.Dataset("transactions", "2026-10", "sha256:00", "", "train"),)
    assert stored.record.description == "nightly"
    assert stored.metrics == (wb.MetricSummary("loss", 0.25, 2, 2, 0.25, 0.5),)
    assert {file.path for file in client.files(stored.ref)} == {*contents(folder), "optimizer.bin"}


def test_a_parent_is_pinned_to_what_it_stood_for(client: wb.Client, new_model: Callable[[], str], folder: Path) -> None:
    base = client.push(new_model(), folder / "config.json").version
    child = client.push(new_model(), folder, parent=base.model).version
    client.push(base.model, folder / "empty.bin")
    record = client.version(child.ref).record
    assert record is not None
    assert record.parents == (wb.Parent(f"{base.model}:1", wb.Relation.FINE_TUNED),)


def test_a_pull_replaces_older_files_and_leaves_others(
    client: wb.Client, new_model: Callable[[], str], tmp_path: Path
) -> None:
    model, source, out = new_model(), tmp_path / "weights.bin", tmp_path / "out"
    source.write_bytes(b"one")
    client.push(model, source)
    source.write_bytes(b"two")
    client.push(model, source)
    client.pull(f"{model}:1", out)
    (out / "notes.txt").write_text("mine")
    client.pull(f"{model}:2", out)
    assert contents(out) == {"weights.bin": b"two", "notes.txt": b"mine"}
    verified = client.verify(out)
    assert (verified.ok, verified.ref, verified.others) == (True, f"{model}:2", ["notes.txt"])


def test_every_reference_resolves(client: wb.Client, new_model: Callable[[], str], folder: Path) -> None:
    model = new_model()
    first = client.push(model, folder / "config.json").version
    second = client.push(model, folder / "empty.bin").version
    third = client.push(model, folder / "config.json").version
    assert client.resolve(model).ref == third.ref
    assert client.resolve(f"{model}:1").ref == first.ref
    assert client.resolve(f"{model}#b3:{first.manifest.hex()}").ref == third.ref
    assert client.resolve(f"{model}#b3:{second.manifest.hex()}").ref == second.ref
    assert client.resolve(model).revision > client.resolve(f"{model}:1").revision > 0
    for ref, error in (
        (f"{model}:4", wb.VersionNotFound),
        (f"{model}@production", wb.AliasNotFound),
        (f"{model}#b3:{'0' * 64}", wb.VersionNotFound),
        (f"{model}:0", wb.InvalidReference),
        (f"{model}#b3:12", wb.InvalidReference),
        ("no.such.model", wb.ModelNotFound),
        ("Not.A.Name", wb.InvalidName),
    ):
        with pytest.raises(error):
            client.resolve(ref)
