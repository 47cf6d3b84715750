"""The environment that this process runs in, looked at now, beside the one that a version records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from weighbridge.capture.entry_point import entry_point
from weighbridge.capture.environment import environment_of
from weighbridge.capture.git import git_state
from weighbridge.capture.submodules import Submodule, submodules
from weighbridge.core.errors import SourceUnreadable, WrongState
from weighbridge.core.values import Record
from weighbridge.recipe.code_check import check_code
from weighbridge.recipe.findings import EnvironmentCheck, EnvironmentDifference, Finding
from weighbridge.recipe.machine_check import check_machine
from weighbridge.recipe.package_check import check_lock, check_packages


def check_environment(ref: str, record: Record) -> EnvironmentCheck:
    """Compares everything that was recorded; changes nothing.

    Raises:
        WrongState: the record has neither source nor environment.
        SourceUnreadable: the working directory is gone.
    """
    if record.source is None and record.environment is None:
        raise WrongState(
            f"{ref} records neither code nor environment, so there is nothing to compare with: "
            "it was pushed without capturing them (--no-capture, capture=False), or had no room for them"
        )
    try:
        findings = list(_findings(record))
    except OSError as fault:
        raise SourceUnreadable(f"the working directory cannot be read: {fault.strerror or fault}") from fault
    return EnvironmentCheck(
        ref,
        [one for one in findings if isinstance(one, EnvironmentDifference)],
        [one for one in findings if isinstance(one, str)],
    )


def _findings(record: Record) -> Iterator[Finding]:
    folder = entry_point().folder
    if record.source is None:
        yield "the code was not recorded, so it could not be compared"
    else:
        yield from check_code(record.source, git_state(folder, record.source.entry_point), _submodules(folder))
    if record.environment is None:
        yield "the environment was not recorded, so it could not be compared"
        return
    present = environment_of(folder)
    yield from check_lock(record, present, folder)
    yield from check_machine(record.environment, present)
    yield from check_packages(record.environment, present)


def _submodules(folder: Path) -> list[Submodule] | None:
    try:
        return submodules(folder)
    except OSError:
        return None
