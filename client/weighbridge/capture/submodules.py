"""The submodules of what is checked out: which commit each should be at, and at which it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weighbridge.capture.git import INNER_ENVIRONMENT, top_level
from weighbridge.capture.programs import read

_LIMIT_S = 10.0
_DEEPEST = 10
_LINK = b"160000 commit "
"""How a tree names a submodule."""


@dataclass(frozen=True)
class Submodule:
    """A repository within a repository."""

    path: str
    """From the root of the outermost."""
    wanted: str
    """The commit that the one around it names."""
    present: str
    """The commit that is checked out; empty where there is none, as it is not initialised."""


def submodules(folder: Path) -> list[Submodule]:
    """All of them, those within others too; none outside of a repository.

    Raises:
        OSError: git cannot say, or takes too long.
    """
    top = top_level(folder)
    return [] if top is None else list(_within(top, "", time.monotonic() + _LIMIT_S, 0))


def _within(place: Path, prefix: str, deadline: float, depth: int) -> Iterator[Submodule]:
    for entry in _git(place, deadline, "ls-tree", "-r", "-z", "--full-tree", "HEAD").split(b"\0"):
        if not entry.startswith(_LINK):
            continue
        commit, _, name = entry.removeprefix(_LINK).partition(b"\t")
        inner = place / os.fsdecode(name)
        path = prefix + name.decode(errors="backslashreplace")
        # Without a repository of its own git would find the outer one.
        there = (inner / ".git").exists()
        present = _git(inner, deadline, "rev-parse", "--verify", "HEAD").decode().strip() if there else ""
        yield Submodule(path, commit.decode(), present)
        if there and depth < _DEEPEST:
            yield from _within(inner, f"{path}/", deadline, depth + 1)


def _git(place: Path, deadline: float, *arguments: str) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the submodules take too long")
    return read(["git", "-C", os.fspath(place), *arguments], left, INNER_ENVIRONMENT)
