"""What the server acknowledged survives: kill -9, stop and start on the same data directory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import weighbridge as wb
from conftest import RunCli, RunningServer
from weighbridge.v1 import journal_pb2


def verify_journal(client: wb.Client) -> int:
    """The newest revision, after every hash was computed again."""
    connection = client._connection
    answers = list(connection.stream(connection.journal.VerifyJournal, journal_pb2.VerifyJournalRequest()))
    assert answers[-1].done
    return int(answers[-1].revision)


def test_kill_9_loses_nothing_that_was_committed(own_server: RunningServer, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    for number in range(1, 4):
        weights.write_bytes(os.urandom(5_000_000))
        with own_server.connect() as client:
            assert client.push("a.b.c", weights).version.version == number
        own_server.kill()
        own_server.start()
        with own_server.connect() as client:
            assert client.resolve("a.b.c").version == number
            out = client.pull("a.b.c", tmp_path / f"out{number}")
            assert (out / "weights.bin").read_bytes() == weights.read_bytes()
            assert verify_journal(client) == number + 1  # and the model's creation


@pytest.mark.long
def test_kill_9_during_a_push_leaves_no_version_and_no_litter(own_server: RunningServer, tmp_path: Path) -> None:
    weights = tmp_path / "model"
    weights.mkdir()
    (weights / "first.bin").write_bytes(os.urandom(50_000_000))
    (weights / "second.bin").write_bytes(os.urandom(50_000_000))

    class KillHalfWay:
        done = 0

        def begin(self, files_total: int, bytes_total: int) -> None:
            pass

        def advance(self, raw_bytes: int, moved_bytes: int) -> None:
            self.done += raw_bytes
            if self.done > 75_000_000 and own_server.process is not None:
                own_server.kill()

    with (
        wb.connect(own_server.address, retry_limit_s=0.5) as client,
        pytest.raises(wb.Unavailable),
        client.begin("a.b.c", progress=KillHalfWay()) as version,
    ):
        version.add(weights / "first.bin")
        version.wait()  # it is durable
        version.add(weights / "second.bin")
    own_server.start()
    with own_server.connect() as client:
        assert list(client.versions("a.b.c")) == []
        assert list((own_server.data / "packs" / "tmp").iterdir()) == []
        pushed = client.push("a.b.c", weights)
        assert 0 < pushed.chunks_sent < pushed.chunks_total  # what was durable is not sent again
        out = client.pull("a.b.c", tmp_path / "out")
        for name in ("first.bin", "second.bin"):
            assert (out / name).read_bytes() == (weights / name).read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(own_server: RunningServer, run_cli: RunCli, number: signal.Signals) -> None:
    assert run_cli("push", "a.b.c", "/etc/hostname", address=own_server.address).code == 0
    assert own_server.signal(number) == 0
    events = [line["event"] for line in own_server.log_lines()]
    assert events[-2:] == ["stopping", "stopped"]
    own_server.start()
    assert run_cli("pull", "a.b.c", own_server.data.with_name("pulled"), address=own_server.address).code == 0


@pytest.mark.long
def test_every_call_is_one_line_of_the_log(own_server: RunningServer, run_cli: RunCli) -> None:
    run_cli("resolve", "no.such.model", address=own_server.address)
    (line,) = [line for line in own_server.log_lines() if line["event"] == "call"]
    assert line["method"] == "ResolveVersion"
    assert line["code"] == "NOT_FOUND"
    assert line["reason"] == "MODEL_NOT_FOUND"
    assert line["actor"].startswith("unauthenticated:")
    assert {"peer", "seconds", "timestamp", "level"} <= line.keys()
