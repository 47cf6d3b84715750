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
from weighbridge.v1 import versions_pb2

RECONNECTS_S = 4.0
"""A little longer than gRPC waits before it looks again whether a server is back."""


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


def notes(raised: pytest.ExceptionInfo[wb.WeighbridgeError]) -> str:
    return "\n".join(raised.value.__notes__)


@pytest.mark.parametrize("added", ["before", pytest.param("while it is away", marks=pytest.mark.long)])
def test_a_server_that_is_away_at_the_block_s_end_is_waited_for_behind_it(
    own_server: RunningServer, weights: Path, tmp_path: Path, added: str
) -> None:
    """Days of training hang on it."""
    own_server.listen = own_server.address
    with wb.connect(own_server.address, retry_limit_s=RECONNECTS_S) as client:
        with pytest.raises(wb.Unavailable) as raised, client.begin("a.b.c", capture=False) as version:
            version.log_metric("loss", 0.5, 1)
            if added == "before":
                version.add(weights)
                version.wait()
            own_server.kill()
            if added != "before":
                version.add(weights)
            version.log_metric("loss", 0.25, 2)
        assert "when the server is back, call its commit() again" in notes(raised)
        own_server.start()
        version.log_metric("loss", 0.125, 3)
        committed = version.commit()
        assert committed.version.ref == "a.b.c:1"
        assert committed.chunks_sent == 10
        assert client.metrics("a.b.c:1")["loss"].values.tolist() == [0.5, 0.25, 0.125]
        out = client.pull("a.b.c:1", tmp_path / "out")
        assert (out / "weights.bin").read_bytes() == weights.read_bytes()


@pytest.mark.long
def test_uploads_that_failed_while_the_server_was_away_are_tried_again_by_the_next_add(
    own_server: RunningServer, weights: Path, tmp_path: Path
) -> None:
    own_server.listen = own_server.address
    more = tmp_path / "more.bin"
    more.write_bytes(b"more")
    with wb.connect(own_server.address, retry_limit_s=RECONNECTS_S) as client:
        with client.begin("a.b.c", capture=False) as version:
            own_server.kill()
            version.add(weights)
            with pytest.raises(wb.Unavailable):
                version.wait()
            own_server.start()
            version.add(more)
        assert version.result is not None
        assert [file.path for file in client.files("a.b.c:1")] == ["more.bin", "weights.bin"]


def test_files_that_were_forgotten_can_be_added_behind_the_block(
    client: wb.Client, new_model: Callable[[], str], weights: Path
) -> None:
    with pytest.raises(wb.InvalidRequest, match="at least one file") as raised, client.begin(new_model()) as version:
        version.log_metric("loss", 0.5)
    assert "The upload stays open for a day: mend what is wrong (add, " in notes(raised)
    version.add(weights)
    assert version.commit().version.files_total == 1


def test_a_file_that_changed_is_taken_as_it_is_by_the_next_commit(
    client: wb.Client, new_model: Callable[[], str], weights: Path, tmp_path: Path
) -> None:
    class Rewriting:
        """Something still writes to the file when its upload begins; once."""

        def begin(self, files_total: int, bytes_total: int) -> None:
            if weights.stat().st_size > 3:
                weights.write_bytes(b"new")

        def advance(self, raw_bytes: int, moved_bytes: int) -> None:
            pass

    model = new_model()
    with pytest.raises(wb.SourceChanged) as raised, client.begin(model, progress=Rewriting()) as version:
        version.add(weights)
    assert "call its commit(), which sends them as they are then" in notes(raised)
    version.commit()
    assert (client.pull(model, tmp_path / "out") / "weights.bin").read_bytes() == b"new"


def test_an_upload_that_somebody_ended_is_given_up(
    client: wb.Client, new_model: Callable[[], str], weights: Path
) -> None:
    with pytest.raises(wb.UploadEnded) as raised, client.begin(new_model(), capture=False) as version:
        version.add(weights)
        version.wait()
        end = versions_pb2.AbortVersionRequest(upload_id=version._upload.upload_id)
        client._connection.call(client._connection.versions.AbortVersion, end)
    assert not hasattr(raised.value, "__notes__")
    with pytest.raises(wb.UsageError, match="begin another"):
        version.commit()


def test_two_files_of_one_path_are_both_named(
    client: wb.Client, new_model: Callable[[], str], weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / weights.name
    other.write_bytes(b"other")
    with client.begin(new_model(), capture=False) as version:
        version.add(weights)
        with pytest.raises(wb.InvalidPath) as refused:
            version.add(other)
        assert [violation.path for violation in refused.value.violations] == ["weights.bin"]
        assert f"{weights} and {other} both have it" in refused.value.violations[0].message
        with pytest.raises(wb.InvalidPath, match=f"was added twice, from {weights}"):
            version.add(weights)
    assert version.result is not None
    assert version.result.version.files_total == 1


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


@pytest.mark.long
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


@pytest.mark.long
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
