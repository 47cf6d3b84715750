"""DVC with a local remote: ``dvc add`` and ``dvc push``; ``dvc pull`` into a fresh clone."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.files import bring
from benchmarks.peers.commands import call, command
from benchmarks.peers.git import git_environment
from benchmarks.tools import Tools


class Dvc:
    """A git repository with DVC, and a folder as its remote."""

    name = "DVC"

    def __init__(self, tools: Tools, folder: Path) -> None:
        """See ``Peer``."""
        self._folder = folder
        self._repository = folder / "repository"
        self._git = tools.command("git")
        self._python = tools.python_with("dvc")
        self._environment = tools.environment(
            **git_environment(folder),
            TMPDIR=str(folder),
            DVC_NO_ANALYTICS="1",
            # Its site cache would know an earlier clone.
            DVC_SITE_CACHE_DIR=str(folder / "site-cache"),
        )

    def installed(self) -> bool:
        """See ``Peer``."""
        return self._git is not None and self._python is not None

    def version(self) -> str:
        """See ``Peer``."""
        assert self._python is not None
        return command([self._python, "-I", "-m", "dvc", "--version"], self._folder, self._environment).strip()

    def __enter__(self) -> Self:
        self._repository.mkdir()
        self._run("git", "init", "--quiet")
        self._run("dvc", "init", "--quiet")
        self._run("dvc", "config", "core.check_update", "false")
        self._run("dvc", "remote", "add", "--quiet", "--default", "store", str(self._folder / "remote"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def push(self, file: Path) -> float:
        """See ``Peer``."""
        bring(file, self._repository)
        seconds = self._call(self._repository, ["add", file.name], ["push"])
        self._run("git", "add", ".")
        self._run("git", "commit", "--quiet", "--message", "model")
        return seconds

    def pull(self, dest: Path) -> float:
        """See ``Peer``."""
        shutil.rmtree(self._folder / "site-cache", ignore_errors=True)
        self._run("git", "clone", "--quiet", str(self._repository), str(dest))  # without the weights and the cache
        return self._call(dest, ["pull"])

    def _run(self, tool: str, *arguments: str) -> None:
        assert self._git is not None
        assert self._python is not None
        start = [self._git] if tool == "git" else [self._python, "-I", "-m", "dvc"]
        command([*start, *arguments], self._repository, self._environment)

    def _call(self, folder: Path, *commands: list[str]) -> float:
        assert self._python is not None
        words = [word for arguments in commands for word in (*arguments, "--")]
        return call(self._python, "dvc_call.py", words, folder, self._environment)["seconds"]
