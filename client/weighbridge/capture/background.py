"""The capture of one version: begun with it, in the background, and waited for at its commit."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from weighbridge.capture.entry_point import EntryPoint, entry_point
from weighbridge.capture.environment import environment_of
from weighbridge.capture.fitting import fitted
from weighbridge.capture.git import git_state, top_level
from weighbridge.core.values import Environment, Record, SourceCode

_PATIENCE_S = 5.0
"""From the begin: a capture that takes longer, on a file system that hangs, is done without."""

Part = TypeVar("Part")


class Capture:
    """Looks at code and machine as they are now; ``onto`` adds to a record what was found. Neither raises."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + _PATIENCE_S
        self._found: tuple[SourceCode | None, Environment | None] | None = None
        entry = self._entry = _quietly(entry_point) or EntryPoint(Path(os.sep), "", ())
        self._source = _Later(lambda: _source(entry))
        self._environment = _Later(lambda: environment_of(entry.folder))

    def onto(self, record: Record) -> Record:
        """The record with what was found. The same parts at each call: a commit that is tried again is the same."""
        if self._found is None:
            source = self._source.result(self._deadline)
            if source is None:
                source = SourceCode(entry_point=self._entry.name, command=self._entry.command)
            self._found = source, self._environment.result(self._deadline)
        found = self._found
        return _quietly(lambda: fitted(record, *found)) or record


def _source(entry: EntryPoint) -> SourceCode:
    top = top_level(entry.folder)
    name = entry.name
    if top is not None and name.startswith(os.sep) and Path(name).is_relative_to(top):
        name = str(Path(name).relative_to(top))
    return replace(git_state(entry.folder, name), entry_point=name, command=entry.command)


class _Later(Generic[Part]):
    """The result of a job in a thread that no exit of the process waits for."""

    def __init__(self, job: Callable[[], Part]) -> None:
        self._result: Part | None = None
        self._thread = threading.Thread(target=self._run, args=[job], name="weighbridge-capture", daemon=True)
        self._thread.start()

    def _run(self, job: Callable[[], Part]) -> None:
        self._result = _quietly(job)

    def result(self, deadline: float) -> Part | None:
        """What the job gave; None where it failed or takes longer than the deadline."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return self._result


def _quietly(job: Callable[[], Part]) -> Part | None:
    try:
        return job()
    except Exception:  # noqa: BLE001 - whatever is wrong with a capture, the training goes on
        return None
