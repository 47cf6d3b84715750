"""The ``begin`` block when things go another way: given up, ended, healed, too large, or with nothing to send."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunningServer
from weighbridge.core.limits import CHUNK_BYTES


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Ten chunks that do not compress."""
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(10 * CHUNK_BYTES))
    return path


def test_a_block_that_is_given_up_inside_commits_nothing(
    client: wb.Client, new_model: Callable[[], str], weights: Path
) -> None:
    model = client.create_model(new_model()).name
    with client.begin(model) as version:
        version.add(weights)
        version.abort()
        with pytest.raises(wb.UsageError):
            version.add(weights)
    assert version.result is None
    assert list(client.versions(model)) == []


def test_nothing_can_be_recorded_after_the_end(client: wb.Client, new_model: Callable[[], str], weights: Path) -> None:
    with client.begin(new_model()) as version:
        version.add(weights)
    for change in (
        lambda: version.log_metric("loss", 0.1),
        lambda: version.log_params(lr=1),
        lambda: version.set_tags(a=1),
        lambda: version.describe("late"),
        lambda: version.add(weights),
        version.commit,
    ):
        with pytest.raises(wb.UsageError):
            change()


def test_two_adds_that_are_too_much_together_are_refused(
    client: wb.Client, new_model: Callable[[], str], weights: Path, tmp_path: Path
) -> None:
    """A version holds 2 TiB in chunks of 2 MiB; the second add would be one chunk more."""
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(2**41)
    with pytest.raises(wb.LimitExceeded), client.begin(new_model()) as version:
        version.add(weights)
        version.add(tmp_path / "large.bin")


def damage(server: RunningServer) -> None:
    """Inverts a byte in the middle of a stored pack."""
    pack = next((server.data / "packs").rglob("*.pack"))
    with pack.open("r+b") as file:
        file.seek(pack.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))


def test_chunks_found_damaged_before_the_commit_are_sent_again(
    own_server: RunningServer, weights: Path, tmp_path: Path
) -> None:
    with own_server.connect() as client:
        client.push("a.b.c", weights)
        with client.begin("a.b.c") as version:
            version.add(weights)
            version.wait()
            damage(own_server)
            with pytest.raises(wb.DataLoss):
                client.pull("a.b.c:1", tmp_path / "damaged")
        assert version.result is not None
        assert version.result.chunks_sent == 1
        out = client.pull("a.b.c:2", tmp_path / "out")
        assert (out / "weights.bin").read_bytes() == weights.read_bytes()


def test_a_push_of_what_is_known_opens_no_stream_that_would_stand_still(
    data_dir: Path, weights: Path, tmp_path: Path
) -> None:
    config = tmp_path / "weighbridge.toml"
    config.write_text("stall_s = 0.2\n")
    server = RunningServer(data_dir, ("--config", str(config))).start()
    try:
        with wb.connect(server.address, retry_limit_s=0.2) as client:
            client.push("a.b.c", weights)
            opened = _streams(server)
            assert opened
            assert client.push("a.b.c", weights, progress=_Slow()).chunks_sent == 0
        assert _streams(server) == opened
    finally:
        server.stop()


def _streams(server: RunningServer) -> int:
    return sum(line.get("method") == "UploadChunks" for line in server.log_lines())


class _Slow:
    """Makes each chunk take longer than the server waits for one."""

    def begin(self, files_total: int, bytes_total: int) -> None:
        """Nothing."""

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """Takes its time: the source is slow."""
        threading.Event().wait(0.05)


@pytest.mark.timeout(50)  # the patience with a server that is away is 60 s
def test_giving_up_while_the_server_is_away_does_not_wait_for_it(own_server: RunningServer, weights: Path) -> None:
    reached, gone = threading.Event(), threading.Event()

    class Halfway:
        def begin(self, files_total: int, bytes_total: int) -> None:
            pass

        def advance(self, raw_bytes: int, moved_bytes: int) -> None:
            reached.set()
            assert gone.wait(60)

    with own_server.connect() as client:
        version = client.begin("a.b.c", progress=Halfway())
        version.add(weights)
        assert reached.wait(60)
        own_server.kill()
        gone.set()
        version.abort()
    own_server.start()
