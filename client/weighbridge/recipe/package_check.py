"""The packages that are here beside those that were recorded, and the lock file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from weighbridge.core.values import Environment, Record
from weighbridge.recipe.findings import EnvironmentDifference, Finding
from weighbridge.recipe.lock_file import LockFile, lock_here, lock_of_commit
from weighbridge.recipe.plain import listed
from weighbridge.recipe.requirements import requirement

_MOST_NAMED = 10


def check_packages(recorded: Environment, present: Environment) -> Iterator[Finding]:
    """What is missing or has another version is a difference; what is here besides is worth a note."""
    before, here = recorded.packages, present.packages
    if not before:
        yield "no packages were recorded, so they could not be compared"
        return
    for name, version in sorted(before.items()):
        if here.get(name) != version:
            fix = requirement(name, version).install
            yield EnvironmentDifference(f"package {name}", version, here.get(name, ""), fix)
    if recorded.packages_left_out:
        yield f"the record leaves {recorded.packages_left_out} packages out, which could not be compared"
        return  # what is here besides may be these
    more = [f"{name} {version}" for name, version in sorted(here.items()) if name not in before]
    if more:
        yield f"packages here that were not there: {listed(more, _MOST_NAMED)}"


def check_lock(record: Record, present: Environment, folder: Path) -> Iterator[Finding]:
    """The recorded lock file is in the working tree that ``folder`` is in, or not."""
    recorded = record.environment
    if recorded is None or not recorded.lock_digest:
        if present.lock_digest:
            yield f"there is a lock file here, {present.lock_file}; none was recorded, and it could not be compared"
        return
    if lock_here(record, folder) is not None:
        return
    before = f"{recorded.lock_file} {recorded.lock_digest}"
    here = f"{present.lock_file} {present.lock_digest}" if present.lock_digest else ""
    yield EnvironmentDifference("lock file", before, here, _get_back(record, lock_of_commit(record, folder)))


def _get_back(record: Record, committed: LockFile | None) -> str:
    if committed is None or record.source is None:
        return "bring the same file back: the record has its digest only, and no commit at hand has it"
    return f"git checkout {shlex.quote(record.source.commit)} -- {shlex.quote(':/' + committed.path)}"
