"""``weighbridge doctor``: each thing that can be wrong, made wrong."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from conftest import Ran, RunCli, RunningServer
from weighbridge.cli import machine_checks

ALL = [
    "client", "python", "server", "token", "name", "connection", "health", "API", "round trip", "cache folder",
    "current folder", "server parts",
]  # fmt: skip


def wrong(ran: Ran) -> dict[str, Any]:
    """The one check that found something."""
    assert (ran.code, ran.err) == (3, "")
    found = [check for check in ran.json["checks"] if not check["ok"]]
    assert len(found) == 1, found
    assert found[0]["advice"]
    one: dict[str, Any] = found[0]
    return one


@pytest.mark.long
def test_all_is_well(run_cli: RunCli, server: RunningServer) -> None:
    ran = run_cli("doctor", "--json")
    assert (ran.code, ran.err) == (0, "")
    checks = ran.json["checks"]
    assert [check["name"] for check in checks] == ALL
    assert all(check.keys() == {"name", "ok", "found", "advice"} for check in checks)
    assert all(check["ok"] and not check["advice"] for check in checks)
    found = {check["name"]: check["found"] for check in checks}
    assert found["server"] == f"{server.address} (from WEIGHBRIDGE_SERVER)"
    assert found["token"] == "not set"
    assert found["health"] == "SERVING"
    assert "PostgreSQL" in found["server parts"]
    text = run_cli("doctor")
    assert text.code == 0
    assert [line[:2] for line in text.out.splitlines()] == ["✓ "] * len(ALL)
    quiet = run_cli("doctor", "-q")
    assert (quiet.code, quiet.out) == (0, "")


@pytest.mark.long
def test_where_the_configuration_comes_from(
    run_cli: RunCli, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_TOKEN", "s3cret-one")
    ran = run_cli("doctor", "--server", server.address)
    assert ran.code == 0
    assert f"{server.address} (from --server)" in ran.out
    assert "set (from WEIGHBRIDGE_TOKEN)" in ran.out
    assert "set (from --token)" in run_cli("doctor", "--token", "s3cret-two").out
    for arguments in (("doctor",), ("doctor", "--json"), ("doctor", "--token", "s3cret-two\n")):
        ran = run_cli(*arguments)
        assert "s3cret" not in ran.out + ran.err


def test_nothing_listens(run_cli: RunCli) -> None:
    check = wrong(run_cli("doctor", "--json", address="127.0.0.1:1"))
    assert check["name"] == "connection"
    assert check["found"] == "127.0.0.1 port 1: Connection refused"
    assert "weighbridge serve" in check["advice"]
    text = run_cli("doctor", address="127.0.0.1:1")
    assert text.code == 3
    assert "\n✗ connection      127.0.0.1 port 1: Connection refused\n                  no server listens" in text.out


def test_no_such_host_and_no_address(run_cli: RunCli) -> None:
    assert wrong(run_cli("doctor", "--json", address="no-such-host.invalid:8420"))["name"] == "name"
    check = wrong(run_cli("doctor", "--json", address="nonsense"))
    assert check["name"] == "server"
    assert "HOST:PORT" in check["advice"]


def test_another_program_listens(run_cli: RunCli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        check = wrong(run_cli("doctor", "--json", address=f"127.0.0.1:{listener.getsockname()[1]}"))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert check["name"] == "health"
    assert "does not speak gRPC" in check["advice"]


def test_a_proxy_stands_between(run_cli: RunCli, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    check = wrong(run_cli("doctor", "--json"))
    assert check["name"] == "health"
    assert "the proxy in http_proxy" in check["advice"]


@contextmanager
def another_server(*, serving: bool = True) -> Iterator[str]:
    """A gRPC server that knows health and nothing of ours."""
    server = grpc.server(ThreadPoolExecutor(2))
    state = health.HealthServicer()
    state.set("", health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_another_grpc_service(run_cli: RunCli) -> None:
    with another_server() as address:
        check = wrong(run_cli("doctor", "--json", address=address))
    assert check["name"] == "API"
    assert "weighbridge.v1" in check["advice"]


def test_a_server_that_is_stopping(run_cli: RunCli) -> None:
    with another_server(serving=False) as address:
        checks = run_cli("doctor", "--json", address=address).json["checks"]
    assert next((check["name"], check["found"]) for check in checks if not check["ok"]) == ("health", "NOT_SERVING")


def test_a_cache_that_cannot_be_written(run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    check = wrong(run_cli("doctor", "--json"))
    assert check["name"] == "cache folder"
    assert str(tmp_path / "file" / "cache") in check["found"]
    assert "WEIGHBRIDGE_CACHE_DIR" in check["advice"]


def test_a_disk_that_is_almost_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "LITTLE_BYTES", 10**18)
    check = machine_checks.cache_folder(tmp_path / "not" / "made" / "yet")
    assert not check.ok
    assert "free" in check.found
    assert not (tmp_path / "not").exists(), "it changes nothing"


def test_server_parts_that_do_not_work(run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_POSTGRES_BIN", str(tmp_path))
    check = wrong(run_cli("doctor", "--json"))
    assert check["name"] == "server parts"
    assert str(tmp_path) in check["advice"]


def test_server_parts_that_are_not_installed_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weighbridge_server.app", None)
    check = machine_checks.server_parts()
    assert check.ok
    assert check.found.startswith("not installed")
