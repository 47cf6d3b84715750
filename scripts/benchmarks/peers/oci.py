"""OCI: the distribution registry with files on disk, and the client of ORAS for Python."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers.commands import call, command, free_port, server
from benchmarks.tools import Tools

_CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{folder}"}}}}
http: {{addr: "{address}"}}
"""


class Oci:
    """``push`` and ``pull`` of a file as an artifact of one layer."""

    name = "OCI registry + ORAS"

    def __init__(self, tools: Tools, folder: Path) -> None:
        """See ``Peer``."""
        self._folder = folder
        # Debian's name for it, and its own.
        self._registry = tools.command("docker-registry") or tools.command("registry")
        self._python = tools.python_with("oras")
        self._environment = tools.environment(TMPDIR=str(folder), HOME=str(folder))
        self._address = f"127.0.0.1:{free_port()}"
        self._ending = ExitStack()

    def installed(self) -> bool:
        """See ``Peer``."""
        return self._registry is not None and self._python is not None

    def version(self) -> str:
        """See ``Peer``."""
        assert self._registry is not None
        assert self._python is not None
        registry = command([self._registry, "--version"], self._folder, self._environment).split()[-1]
        oras = command(
            [self._python, "-I", "-c", "from importlib.metadata import version; print(version('oras'))"],
            self._folder,
            self._environment,
        )
        return f"registry {registry}, oras {oras.strip()}"

    def __enter__(self) -> Self:
        assert self._registry is not None
        configuration = self._folder / "registry.yml"
        configuration.write_text(_CONFIGURATION.format(folder=self._folder / "blobs", address=self._address))
        self._ending.enter_context(
            server(
                [self._registry, "serve", str(configuration)],
                self._folder,
                self._environment,
                f"http://{self._address}/v2/",
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def push(self, file: Path) -> float:
        """See ``Peer``."""
        return self._call(file.parent, "push", file.name)  # the artifact has the path as its name

    def pull(self, dest: Path) -> float:
        """See ``Peer``."""
        return self._call(self._folder, "pull", str(dest))

    def _call(self, folder: Path, *arguments: str) -> float:
        assert self._python is not None
        return call(self._python, "oras_call.py", [self._address, *arguments], folder, self._environment)["seconds"]
