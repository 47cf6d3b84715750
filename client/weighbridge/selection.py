"""Which files of a version are pulled or loaded: by patterns of their paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from weighbridge.core.errors import UsageError
from weighbridge.core.manifest import FileManifest

_MOST_NAMED = 10


@dataclass(frozen=True)
class Selection:
    """Shell patterns (``fnmatch``) over a file's whole path, whose ``*`` matches ``/`` too.

    A file is selected when one of ``include`` matches, or there is none, and none of ``exclude`` does.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def of(self, ref: str, files: Sequence[FileManifest]) -> list[FileManifest]:
        """The selected files.

        Raises:
            UsageError: there is none; says what the version has.
        """
        chosen = [file for file in files if self._takes(file.path)]
        if files and not chosen:
            raise UsageError(f"no file of {ref} is selected by the patterns; it has {named(files)}")
        return chosen

    def _takes(self, path: str) -> bool:
        included = not self.include or any(fnmatchcase(path, pattern) for pattern in self.include)
        return included and not any(fnmatchcase(path, pattern) for pattern in self.exclude)


def named(files: Sequence[FileManifest]) -> str:
    """The first few paths, and how many more there are."""
    paths = ", ".join(repr(file.path) for file in files[:_MOST_NAMED])
    return f"{paths} and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else paths
