"""Recipes: how a version was made, and whether it could be made here."""

from __future__ import annotations

from contextlib import suppress

from weighbridge.calls.versions import VersionCalls
from weighbridge.capture.entry_point import entry_point
from weighbridge.core.errors import InternalError
from weighbridge.core.values import Record, Version
from weighbridge.recipe.environment_check import check_environment
from weighbridge.recipe.findings import EnvironmentCheck
from weighbridge.recipe.lock_file import LockFile, recorded_lock
from weighbridge.recipe.recipe import Recipe


class RecipeCalls(VersionCalls):
    """See ``Client``."""

    def recipe(self, ref: str) -> Recipe:
        """How a version was made: code, lock file, parameters, data, command. ``Recipe.write`` makes a folder of it.

        Where the code of this process, or the working directory of an installed program, lies in a clone that has
        the recorded commit, the lock file is taken out of it. Raises as ``version``.
        """
        version = self.version(ref)
        record = _record_of(version)
        return Recipe(version, record, list(self.files(version.ref)), _lock(record), self.server)

    def check_environment(self, ref: str) -> EnvironmentCheck:
        """Compares where this process runs with where a version was made; changes nothing.

        Commit and uncommitted changes are those of the repository that the script lies in, or the working directory
        of an installed program; packages, Python and machine are those of this process.

        Raises:
            WrongState: the version records neither code nor environment.
            SourceUnreadable: the working directory is gone.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        version = self.version(ref)
        return check_environment(version.ref, _record_of(version))


def _record_of(version: Version) -> Record:
    if version.record is None:
        raise InternalError(f"the server gives {version.ref} without its record")
    return version.record


def _lock(record: Record) -> LockFile | None:
    with suppress(OSError):  # the working directory is gone: nothing is at hand
        return recorded_lock(record, entry_point().folder)
    return None
