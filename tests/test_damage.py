"""Right bytes or no bytes: what a damaged store does to those who read from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from weighbridge.core.limits import CHUNK_BYTES


def flip(pack: Path, position: int) -> None:
    """Inverts one byte of a stored pack."""
    with pack.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 0xFF]))


def packs(server: RunningServer) -> list[Path]:
    """Every sealed pack, oldest first."""
    return sorted((server.data / "packs").rglob("*.pack"))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with one file of three chunks, and one of one."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(os.urandom(2 * CHUNK_BYTES + 1000))
    (folder / "config.json").write_text("{}")
    return folder


def test_one_flipped_byte_fails_the_pull_by_name_and_leaves_nothing(
    own_server: RunningServer, run_cli: RunCli, weights: Path, tmp_path: Path
) -> None:
    run_cli("push", "a.b.c", weights, address=own_server.address)
    (pack,) = packs(own_server)
    # config.json comes first; the middle of the pack is in the second chunk of weights.bin.
    flip(pack, pack.stat().st_size // 2)
    ran = run_cli("pull", "a.b.c", tmp_path / "out", address=own_server.address)
    assert ran.code == 1
    assert ran.err.startswith("error: DATA_LOSS: a.b.c:1: file 'weights.bin', chunk 1: ")
    assert not (tmp_path / "out").exists()

    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    ran = run_cli("pull", "a.b.c", tmp_path / "kept", "--json", address=own_server.address)
    error = ran.json["error"]
    assert (ran.code, error["code"], error["reason"]) == (1, "DATA_LOSS", "DATA_LOSS")
    assert (error["details"]["path"], error["details"]["chunk"]) == ("weights.bin", "1")
    assert [path.name for path in (tmp_path / "kept").rglob("*")] == ["mine.txt"]


@pytest.mark.long
@pytest.mark.parametrize("position", [32, 33, 37, 40, 48, 112, 116, 117])
def test_every_part_of_a_record_is_covered(
    own_server: RunningServer, weights: Path, tmp_path: Path, position: int
) -> None:
    """Magic, version, codec, lengths, digest, checksum and payload of the first record."""
    with own_server.connect() as client:
        client.push("a.b.c", weights / "weights.bin")
        (pack,) = packs(own_server)
        flip(pack, position)
        with pytest.raises(wb.DataLoss) as loss:
            client.pull("a.b.c", tmp_path / "out")
        assert (loss.value.details["path"], loss.value.details["chunk"]) == ("weights.bin", "0")
        assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_a_pack_that_is_gone_is_data_loss(own_server: RunningServer, weights: Path, tmp_path: Path) -> None:
    with own_server.connect() as client:
        client.push("a.b.c", weights)
        (pack,) = packs(own_server)
        pack.unlink()
        with pytest.raises(wb.DataLoss):
            client.pull("a.b.c", tmp_path / "out")


@pytest.mark.long
def test_the_next_push_heals_a_damaged_chunk(own_server: RunningServer, weights: Path, tmp_path: Path) -> None:
    with own_server.connect() as client:
        client.push("a.b.c", weights)
        (pack,) = packs(own_server)
        flip(pack, pack.stat().st_size // 2)
        with pytest.raises(wb.DataLoss):
            client.pull("a.b.c:1", tmp_path / "out")
        assert client.push("a.b.c", weights).chunks_sent == 1
        for version in (1, 2):
            out = client.pull(f"a.b.c:{version}", tmp_path / f"out{version}")
            assert (out / "weights.bin").read_bytes() == (weights / "weights.bin").read_bytes()


Change = Callable[[Path], object]


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda path: path.unlink(), wb.SourceUnreadable),
        (lambda path: path.write_bytes(b"shorter"), wb.SourceChanged),
    ],
)
def test_a_source_that_changes_after_it_was_added_fails_the_version(
    own_server: RunningServer, tmp_path: Path, change: Change, error: type[wb.WeighbridgeError]
) -> None:
    first, second = tmp_path / "first.bin", tmp_path / "second.bin"
    first.write_bytes(os.urandom(30_000_000))
    second.write_bytes(os.urandom(1_000_000))
    with own_server.connect() as client:
        with pytest.raises(error), client.begin("a.b.c") as version:
            version.add(first)
            version.add(second)
            change(second)  # the first is still on its way
        assert list(client.versions("a.b.c")) == []
