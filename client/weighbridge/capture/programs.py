"""Other programs, asked for a fact within a time limit."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import IO


@contextmanager
def output_of(
    command: Sequence[str], limit_s: float, environment: Mapping[str, str | None] | None = None
) -> Iterator[IO[bytes]]:
    """Its standard output as a stream. A program that is still there after ``limit_s`` is killed.

    ``environment``: variables that it has in place of this process's; None is one that it shall not have.

    Raises:
        OSError: it is not on PATH, cannot be started, failed or was killed.
    """
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(command[0])
    process = subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in {**os.environ, **(environment or {})}.items() if value is not None},
        start_new_session=True,  # Ctrl-C is for the training; and what it started is killed with it
    )
    assert process.stdout is not None
    killer = Timer(limit_s, _kill, [process])
    killer.daemon = True
    killer.start()
    try:
        with process.stdout:
            yield process.stdout
        code = process.wait()
    finally:
        _kill(process)
        process.wait()
        killer.cancel()
    if code:
        raise OSError(f"{command[0]} ended with {code}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, 9)
        except (ProcessLookupError, PermissionError):
            return  # it ended by itself


def read(command: Sequence[str], limit_s: float, environment: Mapping[str, str | None] | None = None) -> bytes:
    """Its whole standard output. Raises as ``output_of``."""
    with output_of(command, limit_s, environment) as output:
        return output.read()
