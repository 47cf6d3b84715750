"""The real parts that tests run against: servers in processes of their own, the embedded PostgreSQL, the CLI.

The server shared by a test session has one catalogue: tests use model names of their own (``new_model``).
"""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings

# Before gRPC is loaded: tests start PostgreSQL as another user, which forks, and gRPC's handlers of a fork may abort
# the child of a process that has channels. A server has none when it starts its database.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import weighbridge as wb
from weighbridge_server.data_directory import DataDirectory
from weighbridge_server.postgres import EmbeddedPostgres

pytest.register_assert_rewrite(
    "hostile_pulls", "crash_rounds", "raw_client", "storage_fixtures", "tensor_files", "descent_fixtures"
)

# No test asserts a time, and an example may come when the machine stands still.
settings.register_profile("weighbridge", deadline=None)
settings.load_profile("weighbridge")

WEIGHBRIDGE = (sys.executable, "-m", "weighbridge.cli.main")
START_TIMEOUT_S = 60
ASKS_NOTHING = {"WEIGHBRIDGE_DEFAULT_SCHEMA": "false"}
"""Most tests push without the tags that a server asks for as it is shipped."""
AS_SHIPPED = {"WEIGHBRIDGE_DEFAULT_SCHEMA": "true"}
TAGS: dict[str, wb.Scalar] = {
    "data_sensitivity": "internal",
    "cost_per_inference": 0.0004,
    "dataset_version": 2026,
    "hardware_target": "gpu",
}
"""What it asks for."""


@pytest.fixture(scope="session")
def session_dir() -> Iterator[Path]:
    """A folder for data directories: as root, PostgreSQL's user must be able to pass through it."""
    path = Path(tempfile.mkdtemp(prefix="weighbridge-test-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def data_dir(session_dir: Path) -> Iterator[Path]:
    """The path of a data directory that does not exist yet."""
    path = session_dir / uuid.uuid4().hex[:8]
    yield path
    shutil.rmtree(path, ignore_errors=True)


@dataclass
class RunningServer:
    """A ``weighbridge serve`` in a process of its own."""

    data: Path
    arguments: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    listen: str = "127.0.0.1:0"
    process: subprocess.Popen[str] | None = None
    address: str = ""

    @property
    def log(self) -> Path:
        """Where its standard error goes."""
        return self.data.with_name(self.data.name + ".log")

    def start(self) -> RunningServer:
        """Starts it and waits until it is ready."""
        command = (*WEIGHBRIDGE, "serve", "--listen", self.listen, "--data", str(self.data), *self.arguments)
        with self.log.open("a") as log:
            environment = {**os.environ, **ASKS_NOTHING, **self.environment}
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT_S)
        line = self.process.stdout.readline() if readable else ""
        if not line.startswith("ready "):
            self.kill()
        assert line.startswith("ready "), f"the server said {line!r}; its log:\n{self.log.read_text()}"
        self.address = line.split()[1]
        return self

    def signal(self, number: int) -> int:
        """Sends it a signal and waits for its end; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Waits for its end; returns the exit code."""
        assert self.process is not None
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def stop(self) -> None:
        """SIGTERM, when it runs."""
        if self.process is not None:
            self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what a power cut leaves of the process."""
        self.signal(signal.SIGKILL)

    def connect(self) -> wb.Client:
        """A client of it."""
        return wb.connect(self.address)

    def log_lines(self) -> list[dict[str, Any]]:
        """Its log, parsed."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="session")
def server(session_dir: Path) -> Iterator[RunningServer]:
    """The server that tests share."""
    running = RunningServer(session_dir / "shared").start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def asking_server(session_dir: Path) -> Iterator[RunningServer]:
    """A server as it is shipped, with its schema: tests share it, and set schemas for prefixes of their own."""
    running = RunningServer(session_dir / "asking", environment=AS_SHIPPED).start()
    yield running
    running.stop()


@pytest.fixture
def own_server(data_dir: Path) -> Iterator[RunningServer]:
    """A server that a test may stop, kill, start again and damage."""
    running = RunningServer(data_dir).start()
    yield running
    running.stop()


@pytest.fixture
def client(server: RunningServer) -> Iterator[wb.Client]:
    """A client of the shared server."""
    with server.connect() as client:
        yield client


@pytest.fixture(autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, for the SDK and for the CLI's processes."""
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_DIR", str(path))
    for name in ("WEIGHBRIDGE_SERVER", "WEIGHBRIDGE_TOKEN", "WEIGHBRIDGE_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    return path


_numbers = itertools.count(1)


@pytest.fixture
def new_model() -> Callable[[], str]:
    """Model names that no other test uses."""
    return lambda: f"test.p{os.getpid()}.m{next(_numbers)}"


@dataclass
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)


RunCli = Callable[..., Ran]


@pytest.fixture
def run_cli(server: RunningServer) -> RunCli:
    """Runs the real CLI against the shared server, or against ``server=`` another address."""

    def run(*arguments: str | os.PathLike[str], address: str | None = None, cwd: Path | None = None) -> Ran:
        environment = {**os.environ, "WEIGHBRIDGE_SERVER": address or server.address, "COLUMNS": "200"}
        done = subprocess.run(
            [*WEIGHBRIDGE, *(os.fspath(argument) for argument in arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=cwd,
            env=environment,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def postgres_url(session_dir: Path) -> Iterator[str]:
    """A PostgreSQL of the tests' own, for those that look at the storage from inside."""
    with DataDirectory.open(session_dir / "storage") as directory:
        postgres = EmbeddedPostgres(directory.postgres, lock_fd=directory.lock_fd)
        yield postgres.start()
        postgres.stop()


@pytest.fixture
def empty_database(postgres_url: str) -> str:
    """The URL of a database without tables."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgres_url
