"""MLflow: a tracking server that passes artifacts on to a folder of its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers.commands import call, command, free_port, server
from benchmarks.tools import Tools


class Mlflow:
    """``log_artifact`` and ``download_artifacts`` of its Python client."""

    name = "MLflow server"

    def __init__(self, tools: Tools, folder: Path) -> None:
        """See ``Peer``."""
        self._folder = folder
        self._python = tools.python_with("mlflow")
        # What it buffers in files stays on the file system that is measured.
        self._environment = tools.environment(TMPDIR=str(folder), HOME=str(folder), MLFLOW_DISABLE_TELEMETRY="true")
        self._url = f"http://127.0.0.1:{free_port()}"
        self._file = ""
        self._ending = ExitStack()

    def installed(self) -> bool:
        """See ``Peer``."""
        return self._python is not None

    def version(self) -> str:
        """See ``Peer``."""
        assert self._python is not None
        out = command([self._python, "-I", "-m", "mlflow", "--version"], self._folder, self._environment)
        return out.split()[-1]

    def __enter__(self) -> Self:
        assert self._python is not None
        self._ending.enter_context(
            server(
                [
                    *(self._python, "-I", "-m", "mlflow", "server", "--host", "127.0.0.1"),
                    *("--port", self._url.rpartition(":")[2], "--workers", "1"),
                    *("--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"),
                    *("--artifacts-destination", str(self._folder / "artifacts")),
                ],
                self._folder,
                self._environment,
                f"{self._url}/health",
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def push(self, file: Path) -> float:
        """See ``Peer``."""
        self._file = file.name
        return self._call("push", str(file))

    def pull(self, dest: Path) -> float:
        """See ``Peer``."""
        return self._call("pull", self._file, str(dest))

    def _call(self, *arguments: str) -> float:
        assert self._python is not None
        return call(self._python, "mlflow_call.py", [self._url, *arguments], self._folder, self._environment)["seconds"]
