"""Git LFS with a bare repository in a folder as its remote."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.files import bring
from benchmarks.peers.commands import command, timed
from benchmarks.peers.git import git_environment
from benchmarks.tools import Tools


class GitLfs:
    """``git add``, ``git commit`` and ``git push``; ``git lfs pull`` in a fresh clone."""

    name = "Git LFS"

    def __init__(self, tools: Tools, folder: Path) -> None:
        """See ``Peer``."""
        self._folder = folder
        self._remote = folder / "remote"
        self._repository = folder / "repository"
        self._git = tools.command("git") or ""
        self._lfs = tools.command("git-lfs") or ""
        # Without GIT_LFS_SKIP_SMUDGE the clone, which is not measured, would bring the weights.
        self._environment = tools.environment(
            **git_environment(folder), TMPDIR=str(folder), GIT_LFS_SKIP_SMUDGE="1", GIT_TERMINAL_PROMPT="0"
        )

    def installed(self) -> bool:
        """See ``Peer``."""
        return bool(self._git and self._lfs)

    def version(self) -> str:
        """See ``Peer``."""
        return command([self._lfs, "version"], self._folder, self._environment).split()[0].removeprefix("git-lfs/")

    def __enter__(self) -> Self:
        self._run(self._folder, "init", "--quiet", "--bare", str(self._remote))
        self._run(self._folder, "init", "--quiet", "--initial-branch=main", str(self._repository))
        self._run(self._repository, "lfs", "install", "--local")
        self._run(self._repository, "lfs", "track", "*.safetensors")
        self._run(self._repository, "remote", "add", "origin", self._remote.as_uri())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def push(self, file: Path) -> float:
        """See ``Peer``."""
        bring(file, self._repository)
        return (
            self._run(self._repository, "add", ".")
            + self._run(self._repository, "commit", "--quiet", "--message", "model")
            + self._run(self._repository, "push", "--quiet", "origin", "main")
        )

    def pull(self, dest: Path) -> float:
        """See ``Peer``."""
        self._run(self._folder, "clone", "--quiet", "--branch=main", self._remote.as_uri(), str(dest))
        self._run(dest, "lfs", "install", "--local")
        return self._run(dest, "lfs", "pull")

    def _run(self, folder: Path, *arguments: str) -> float:
        return timed([self._git, *arguments], folder, self._environment)
