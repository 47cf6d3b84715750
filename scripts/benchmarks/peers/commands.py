"""Running somebody else's commands, Python calls and servers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.peer import PeerFailed

_CALLS = Path(__file__).parent / "calls"
_START_S = 120
_LIMIT_S = 3600
_LOG_TAIL = 1500


def command(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Runs a command in a folder and returns its standard output.

    Raises:
        PeerFailed: it failed; has the end of what it said.
    """
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if done.returncode:
        raise PeerFailed(f"{Path(arguments[0]).name} exited with {done.returncode}: {_end(done.stderr or done.stdout)}")
    return done.stdout


def timed(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> float:
    """As ``command``; the seconds it took."""
    began = time.perf_counter()
    command(arguments, folder, environment)
    return time.perf_counter() - began


def call(
    python: str, script: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> dict[str, float]:
    """Has an interpreter run a script of ``calls``; the figures it printed, ``seconds`` without its imports.

    Raises:
        PeerFailed: see ``command``.
    """
    # -I: the folder of the script is not searched, where some files are named like the packages.
    out = command([python, "-I", str(_CALLS / script), *arguments], folder, environment)
    figures: dict[str, float] = json.loads(out.splitlines()[-1])
    return figures


@contextmanager
def server(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], url: str) -> Iterator[None]:
    """A server, from when ``url`` answers until the end of the block.

    Raises:
        PeerFailed: it ended, or did not answer in two minutes.
    """
    log = folder / "server.log"
    with log.open("w") as out:
        # A group of its own: some start workers that do not end with them.
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        give_up = time.monotonic() + _START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > give_up:
                raise PeerFailed(f"{Path(arguments[0]).name} does not serve {url}: {_end(log.read_text())}")
            time.sleep(0.1)
        yield
    finally:
        _end_group(process)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        # Straight there, whatever proxy the environment names.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end(text: str) -> str:
    return text.strip()[-_LOG_TAIL:]
