"""Starting a server: what stands in the way is said in one line, and nothing is left running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest

from conftest import WEIGHBRIDGE, RunCli, RunningServer


def serve(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected not to start."""
    return subprocess.run(
        [*WEIGHBRIDGE, "serve", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def last_line(text: str) -> str:
    """Below the log's lines: what a person reads."""
    return next(line for line in text.splitlines() if line.startswith("error: "))


def test_a_taken_port_is_refused(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = serve("--listen", address, "--data", data_dir)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert last_line(ran.stderr).startswith(f"error: STARTUP_FAILED: cannot listen on {address}")


@pytest.mark.long
def test_two_servers_cannot_share_a_port(own_server: RunningServer, session_dir: Path) -> None:
    ran = serve("--listen", own_server.address, "--data", session_dir / "second")
    assert ran.returncode == 1
    assert "cannot listen" in last_line(ran.stderr)


def test_a_directory_that_is_not_ours_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "thesis.tex").write_text("important")
    ran = serve("--listen", "127.0.0.1:0", "--data", data_dir)
    assert ran.returncode == 1
    assert str(data_dir) in last_line(ran.stderr)
    assert [path.name for path in data_dir.iterdir()] == ["thesis.tex"]


@pytest.mark.long
def test_a_directory_in_use_is_refused_and_names_who_uses_it(own_server: RunningServer) -> None:
    assert own_server.process is not None
    ran = serve("--listen", "127.0.0.1:0", "--data", own_server.data)
    assert ran.returncode == 1
    assert str(own_server.data) in last_line(ran.stderr)
    assert str(own_server.process.pid) in last_line(ran.stderr)


@pytest.mark.long
def test_a_signal_ends_a_start_that_waits(own_server: RunningServer) -> None:
    command = [*WEIGHBRIDGE, "serve", "--listen", "127.0.0.1:0", "--data", str(own_server.data)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert "is in use; waiting up to 30 s" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.stderr.read().strip() == "interrupted"
        assert waiting.wait() == 130


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives PostgreSQL another user")
def test_a_directory_that_postgresql_cannot_enter_is_refused_by_name(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    ran = serve("--listen", "127.0.0.1:0", "--data", data_dir / "inside")
    assert ran.returncode == 1
    assert f"cannot enter {data_dir}" in last_line(ran.stderr)
    assert "chmod o+x" in last_line(ran.stderr)


@pytest.mark.long
def test_the_catalogue_of_a_newer_release_is_refused(empty_database: str, data_dir: Path) -> None:
    server = RunningServer(data_dir, ("--database", empty_database)).start()
    server.stop()
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_migration (name, applied) VALUES ('0099_tomorrow', now())")
    ran = serve("--listen", "127.0.0.1:0", "--data", data_dir, "--database", empty_database)
    assert ran.returncode == 1
    assert "newer release" in last_line(ran.stderr)
    assert "0099_tomorrow" in last_line(ran.stderr)


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "nonsense", "mysql://x/y"])
def test_a_wrong_database_url_is_refused(data_dir: Path, url: str) -> None:
    ran = serve("--listen", "127.0.0.1:0", "--data", data_dir, "--database", url)
    assert ran.returncode == 1
    assert "cannot use the database" in last_line(ran.stderr)
    assert "--database" in last_line(ran.stderr)


def test_wrong_settings_are_all_named(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "weighbridge.toml"
    config.write_text('listen = "nowhere"\ntransfer_streams = 0\ncolour = "blue"\n')
    ran = serve("--data", data_dir, "--config", config)
    assert ran.returncode == 1
    for setting in ("listen", "transfer_streams", "colour"):
        assert f"  {setting}: " in ran.stderr
    assert not data_dir.exists()


@pytest.mark.long
def test_settings_come_from_flags_then_the_environment_then_the_file(
    data_dir: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    config = tmp_path / "weighbridge.toml"
    config.write_text('listen = "127.0.0.1:1"\ntransfer_streams = 3\n')
    server = RunningServer(data_dir, ("--config", str(config)), {"WEIGHBRIDGE_LISTEN": "127.0.0.1:2"}).start()
    try:
        assert run_cli("models", address=server.address).code == 0
    finally:
        server.stop()


@pytest.mark.long
def test_your_own_postgresql(empty_database: str, data_dir: Path, run_cli: RunCli, tmp_path: Path) -> None:
    server = RunningServer(data_dir, ("--database", empty_database)).start()
    try:
        assert run_cli("push", "a.b.c", "/etc/hostname", address=server.address).code == 0
        assert run_cli("pull", "a.b.c", tmp_path / "out", address=server.address).code == 0
        assert not (data_dir / "postgres" / "cluster").exists()
    finally:
        server.stop()
