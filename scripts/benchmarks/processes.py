"""The real command line: servers and clients in processes of their own, timed, with their peaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WEIGHBRIDGE = (sys.executable, "-m", "weighbridge.cli.main")
_MIB = 1024
"""In the kernel's kB."""


@dataclass(frozen=True)
class Ran:
    """What one command of the client did."""

    document: dict[str, Any]
    """What it printed."""
    wall_s: float
    """From its start to its end, with Python's own start."""
    peak_mib: float

    @property
    def seconds(self) -> float:
        """What it says that the transfer took."""
        return float(self.document["seconds"])


class Server:
    """``weighbridge serve``."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        """Use ``serving``."""
        self.address = address
        self._process = process

    def forget_peak(self) -> None:
        """Begins a new high-water mark at the present size."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def peak_mib(self) -> float:
        """The high-water mark of resident memory since ``forget_peak``, in MiB."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / _MIB
        raise LookupError(f"the server {self._process.pid} has ended")


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    """A server on a free port with a data directory of its own; ended at the end."""
    # What is measured is the way of the bytes; the tags that a server asks for as it is shipped take none.
    command = [*_WEIGHBRIDGE, "serve", "--listen", "127.0.0.1:0", "--data", str(data), "--no-default-schema"]
    log = data.with_name(data.name + ".log")
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().split()
            if not ready:
                raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")
            yield Server(process, ready[1])
        finally:
            process.terminate()


def run(server: Server, cache: Path, *arguments: str) -> Ran:
    """One command of the client with a cache directory.

    Its peak is the kernel's, which begins with the size of this process: keep this small (``apart``).

    Raises:
        RuntimeError: the command failed.
    """
    command = [*_WEIGHBRIDGE, *arguments, "--json", "--server", server.address]
    environment = {**os.environ, "WEIGHBRIDGE_CACHE_DIR": str(cache)}
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        pid = os.posix_spawn(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)])
        _, status, usage = os.wait4(pid, 0)
        wall_s = time.perf_counter() - began
        out.seek(0)
        text = out.read()
    if status != 0:
        raise RuntimeError(f"weighbridge {' '.join(arguments)} failed: {text.strip()}")
    return Ran(json.loads(text), wall_s, usage.ru_maxrss / _MIB)
