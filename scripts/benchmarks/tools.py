"""Commands and Python interpreters that are installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tools:
    """What is found in some folders, and then on the PATH."""

    folders: tuple[Path, ...] = ()

    def command(self, name: str) -> str | None:
        """The path of a command, or None."""
        return shutil.which(name, path=self._path())

    def python_with(self, module: str) -> str | None:
        """An interpreter that can import a module, or None. Where no folder has one, ours is asked too."""
        found = [shutil.which("python", path=str(folder)) for folder in self.folders]
        for python in dict.fromkeys([*filter(None, found), sys.executable, shutil.which("python3")]):
            if (
                python
                and subprocess.run(
                    [python, "-I", "-c", f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"],
                    stderr=subprocess.DEVNULL,
                    check=False,
                ).returncode
                == 0
            ):
                return python
        return None

    def environment(self, **more: str) -> dict[str, str]:
        """For a command of somebody else: the folders on its PATH, and nothing of our Python."""
        mine = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return {**mine, "PATH": self._path(), **more}

    def _path(self) -> str:
        return os.pathsep.join([*map(str, self.folders), os.environ.get("PATH", os.defpath)])
