"""The state of the git repository that the code is in.

Asked of git in short calls that write nothing, take no lock and use no network. Each fact stands alone: where one
takes too long, such as the untracked files of a large folder, the others are recorded.

What differs in a submodule differs here too. git's own diff says of it only that it does (``-dirty``), so its diff and
its untracked files are digested by themselves, in it, and in what is in it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from weighbridge.capture.programs import output_of, read
from weighbridge.capture.recordable import recordable
from weighbridge.capture.redaction import without_secrets
from weighbridge.capture.untracked import untracked_digest
from weighbridge.core.digest import format_digest
from weighbridge.core.values import SourceCode

_LIMIT_S = 3.0
"""For each call; the whole goes on in the background."""
_WHOLE_S = 4.5
"""For all of them, submodules too: what was found by then is recorded, and the push waits no longer."""
_DEEPEST = 10
"""Submodules within submodules."""

ENVIRONMENT: Mapping[str, str | None] = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}
# What names the outer repository when a hook or an alias of git runs this, as `git rev-parse --local-env-vars` has it.
_OUTER = (
    "GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES "
    "GIT_PREFIX GIT_SHALLOW_FILE GIT_GRAFT_FILE GIT_IMPLICIT_WORK_TREE GIT_INTERNAL_SUPER_PREFIX"
).split()
INNER_ENVIRONMENT: Mapping[str, str | None] = {**ENVIRONMENT, **dict.fromkeys(_OUTER)}
"""For calls in a submodule."""
_PLAIN = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=true")
# What a user's settings would change in a diff is set, so that equal changes give equal digests.
_DIFF_SETTINGS = (
    "-c",
    "diff.suppressBlankEmpty=false",
    "-c",
    "diff.interHunkContext=0",
    "-c",
    "diff.orderFile=/dev/null",
)
_DIFF = (
    "diff",
    "--binary",
    "--full-index",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-relative",
    "--unified=3",
    "--diff-algorithm=myers",
    "--indent-heuristic",
    "--submodule=short",
    "--ignore-submodules=none",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_PIECE_BYTES = 1024 * 1024
_COMMIT_BYTES = 128
_FIELDS_BEFORE_PATH = {"1": 8, "u": 10}
"""Of an entry of ``git status --porcelain=v2``: what changed, and what is in conflict."""
Fact = TypeVar("Fact")


def git_state(folder: Path, script: str = "") -> SourceCode:
    """Repository, commit, branch and what differs; empty where there is no git or no repository.

    ``script``: what runs, by its path from the repository's root. Where git does not track it, its content counts.
    """
    return _Repository(folder, time.monotonic() + _WHOLE_S).state(script)


def top_level(folder: Path) -> Path | None:
    """The root of the repository's working tree, found as git does, without git."""
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return place
    return None


class _Repository:
    def __init__(self, folder: Path, deadline: float, depth: int = 0) -> None:
        self._folder = folder
        self._deadline = deadline
        self._depth = depth
        self._git = ("git", *_PLAIN, "-C", os.fspath(folder))
        self._environment = INNER_ENVIRONMENT if depth else ENVIRONMENT

    def state(self, script: str) -> SourceCode:
        status = _or_none(self._status)
        if status is None:  # no repository, a bare one, or one too large
            return SourceCode(
                commit=_or_none(lambda: self._object_id("rev-parse", "--verify", "--quiet", "HEAD")) or ""
            )
        source, changed, inner = _read_status(status)
        source = replace(source, repository=_or_none(self._remote) or "")
        if changed:
            diff = _or_none(lambda: self._diff(source.commit, inner))
            source = replace(source, dirty=True, diff_digest=diff or "")
        untracked = _or_none(lambda: self._untracked(script))
        if untracked:
            source = replace(source, dirty=True, untracked_digest=untracked)
        return source

    def _differences(self) -> str:
        """What ``state`` says of differences, both digests. Raises: OSError, where one cannot be found out."""
        source, changed, inner = _read_status(self._status())
        diff = self._diff(source.commit, inner) if changed else ""
        return f"{diff}\0{self._untracked('')}"

    def _status(self) -> bytes:
        # Tracked files only: this answers fast however much else lies in the folder.
        asked = ("--porcelain=v2", "--branch", "-z", "--untracked-files=no", "--ignore-submodules=none")
        return self._read("-c", "status.renames=false", "status", *asked)

    def _limit_s(self) -> float:
        """How long the next call may take. Raises: OSError, when there is no time left."""
        left = min(_LIMIT_S, self._deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError
        return left

    def _read(self, *arguments: str) -> bytes:
        return read([*self._git, *arguments], self._limit_s(), self._environment)

    def _object_id(self, *arguments: str) -> str:
        return recordable(self._read(*arguments).decode(errors="surrogateescape"), _COMMIT_BYTES)

    def _remote(self) -> str:
        """The URL of ``origin``, or of the first remote."""
        found: dict[str, str] = {}
        for entry in self._read("config", "--null", "--get-regexp", r"^remote\..*\.url$").split(b"\0"):
            name, _, url = entry.decode(errors="surrogateescape").partition("\n")
            if url:
                found.setdefault(name, url)
        url = found.get("remote.origin.url") or next(iter(found.values()), "")
        return recordable(without_secrets(url))

    def _diff(self, commit: str, inner: Sequence[str]) -> str:
        """The digest of the diff, which may be large and is read in pieces, and of what differs in submodules."""
        against = commit or self._object_id("hash-object", "-t", "tree", os.devnull)  # the empty tree
        digest = blake3()
        command = [*self._git, *_DIFF_SETTINGS, *_DIFF, against, "--"]
        with output_of(command, self._limit_s(), self._environment) as output:
            while piece := output.read(_PIECE_BYTES):
                digest.update(piece)
        for path in sorted(map(os.fsencode, inner)):
            digest.update(b"\0%s\0%s\0" % (path, self._within(path).encode()))
        return format_digest(digest.digest())

    def _within(self, path: bytes) -> str:
        """What differs in a submodule. Raises: OSError, where it cannot be found out."""
        place = self._top() / os.fsdecode(path)
        # Without a repository of its own git would find the outer one, again and again.
        if self._depth >= _DEEPEST or not (place / ".git").exists():
            raise FileNotFoundError(place)
        return _Repository(place, self._deadline, self._depth + 1)._differences()

    def _top(self) -> Path:
        return top_level(self._folder) or self._folder

    def _untracked(self, script: str) -> str:
        listed = self._read("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")
        paths = sorted(path for path in listed.split(b"\0") if path)
        return untracked_digest(self._top(), paths, script.encode(errors="surrogateescape"))


def _read_status(status: bytes) -> tuple[SourceCode, bool, list[str]]:
    """Commit and branch, whether a tracked file differs, and the submodules in which something does."""
    source = SourceCode()
    changed = False
    inner: list[str] = []
    for entry in status.split(b"\0"):
        line = os.fsdecode(entry)
        if line.startswith("# branch.oid "):
            oid = line.removeprefix("# branch.oid ")
            source = replace(source, commit="" if oid == "(initial)" else recordable(oid, _COMMIT_BYTES))
        elif line.startswith("# branch.head "):
            head = line.removeprefix("# branch.head ")
            source = replace(source, branch="" if head == "(detached)" else recordable(head))
        elif line and not line.startswith("# "):
            changed = True
            inner += _changed_within(line)
    return source, changed, inner


def _changed_within(entry: str) -> list[str]:
    """The path of a submodule in which tracked files differ (M) or untracked ones are (U)."""
    fields = entry.split(" ", _FIELDS_BEFORE_PATH.get(entry[0], 0))
    return [fields[-1]] if len(fields) > 3 and fields[2][0] == "S" and {"M", "U"} & set(fields[2]) else []


def _or_none(fact: Callable[[], Fact]) -> Fact | None:
    with suppress(OSError, ValueError):
        return fact()
    return None
