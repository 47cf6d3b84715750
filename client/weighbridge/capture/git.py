"""The state of the git repository that the code is in.

Asked of git in short calls that write nothing, take no lock and use no network. Each fact stands alone: where one
takes too long, such as the untracked files of a large folder, the others are recorded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from weighbridge.capture.programs import output_of, read
from weighbridge.capture.recordable import recordable
from weighbridge.capture.redaction import without_secrets
from weighbridge.core.digest import format_digest
from weighbridge.core.values import SourceCode

_LIMIT_S = 3.0
"""For each call; the whole goes on in the background."""

ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}
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
Fact = TypeVar("Fact")


def git_state(folder: Path) -> SourceCode:
    """Repository, commit, branch and what differs; empty where there is no git or no repository."""
    return _Repository(folder).state()


def top_level(folder: Path) -> Path | None:
    """The root of the repository's working tree, found as git does, without git."""
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return place
    return None


class _Repository:
    def __init__(self, folder: Path) -> None:
        self._git = ("git", *_PLAIN, "-C", os.fspath(folder))

    def state(self) -> SourceCode:
        # Tracked files only: this answers fast however much else lies in the folder.
        status = _or_none(lambda: self._read("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no"))
        if status is None:  # no repository, a bare one, or one too large
            return SourceCode(
                commit=_or_none(lambda: self._object_id("rev-parse", "--verify", "--quiet", "HEAD")) or ""
            )
        source, changed = _read_status(status)
        source = replace(source, repository=_or_none(self._remote) or "")
        if changed:
            source = replace(source, dirty=True, diff_digest=_or_none(lambda: self._diff(source.commit)) or "")
        untracked = _or_none(self._untracked)
        if untracked:
            source = replace(source, dirty=True, untracked_digest=untracked)
        return source

    def _read(self, *arguments: str) -> bytes:
        return read([*self._git, *arguments], _LIMIT_S, ENVIRONMENT)

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

    def _diff(self, commit: str) -> str:
        """The digest of the diff, which may be large and is read in pieces."""
        against = commit or self._object_id("hash-object", "-t", "tree", os.devnull)  # the empty tree
        digest = blake3()
        with output_of([*self._git, *_DIFF_SETTINGS, *_DIFF, against, "--"], _LIMIT_S, ENVIRONMENT) as output:
            while piece := output.read(_PIECE_BYTES):
                digest.update(piece)
        return format_digest(digest.digest())

    def _untracked(self) -> str:
        listed = self._read("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")
        paths = sorted(path for path in listed.split(b"\0") if path)
        return format_digest(blake3(b"".join(path + b"\0" for path in paths)).digest()) if paths else ""


def _read_status(status: bytes) -> tuple[SourceCode, bool]:
    """Commit and branch, and whether a tracked file differs."""
    source = SourceCode()
    changed = False
    for entry in status.split(b"\0"):
        line = entry.decode(errors="surrogateescape")
        if line.startswith("# branch.oid "):
            oid = line.removeprefix("# branch.oid ")
            source = replace(source, commit="" if oid == "(initial)" else recordable(oid, _COMMIT_BYTES))
        elif line.startswith("# branch.head "):
            head = line.removeprefix("# branch.head ")
            source = replace(source, branch="" if head == "(detached)" else recordable(head))
        elif line and not line.startswith("# "):
            changed = True
    return source, changed


def _or_none(fact: Callable[[], Fact]) -> Fact | None:
    with suppress(OSError, ValueError):
        return fact()
    return None
