"""What a record cannot give back, said plainly."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.values import Environment, Record, SourceCode
from weighbridge.recipe.command import cut_arguments, secrets, unrunnable
from weighbridge.recipe.plain import code, listed
from weighbridge.recipe.requirements import OURS, requirement

_MOST_NAMED = 20


def gaps_of(record: Record, *, lock_found: bool) -> list[str]:
    """A sentence each; the last one holds of every version."""
    return [
        *_code(record.source),
        *_command(record.source),
        *_environment(record.environment, lock_found=lock_found),
        *_data(record),
        "Environment variables, and files outside of the repository, are never recorded.",
    ]


def _code(source: SourceCode | None) -> Iterator[str]:
    if source is None or not source.commit:
        yield "No commit was recorded, so which code made it is not known."
        return
    if not source.repository:
        yield "The repository had no remote: find the one that has the commit."
    if source.diff_digest:
        yield f"Tracked files differed from the commit. Of the changes a digest is known: {code(source.diff_digest)}."
    if source.untracked_digest:
        yield (
            "There were files that git did not track. Of them a digest of their paths, and of the Python files among "
            f"them, is known: {code(source.untracked_digest)}."
        )
    if source.dirty and not (source.diff_digest or source.untracked_digest):
        yield "Something differed from the commit; what is not known."


def _command(source: SourceCode | None) -> Iterator[str]:
    reason = unrunnable(source)
    if reason:
        yield f"There is no `run.sh`: {reason}."
    if source is None:
        return
    hidden = secrets(source.command)
    if hidden:
        names = ", ".join(f"`{secret.variable}` ({secret.where} {code(secret.argument)})" for secret in hidden)
        yield f"Secrets were left out of the command. Set them before you run it: {names}."
    if cut_arguments(source.command):
        yield "The record had no room for all of the command line: it ends with “…” where it was cut."


def _environment(environment: Environment | None, *, lock_found: bool) -> Iterator[str]:
    if environment is None:
        yield "The environment was not recorded: neither Python nor packages nor the machine."
        return
    if environment.packages_left_out:
        yield f"The record had no room for {environment.packages_left_out} of the installed packages."
    wanted = [requirement(name, version) for name, version in environment.packages.items()]
    unfit = [code(one.pinned) for one in wanted if one.obstacle and one.name != OURS]
    if unfit:
        yield f"pip cannot get these, which `requirements.txt` has as comments: {listed(unfit, _MOST_NAMED)}."
    if environment.packages:
        yield (
            "Packages are known by name and version only: one that was installed from a folder or a repository, such "
            "as your own, looks as if an index had it."
        )
    if environment.lock_digest and not lock_found:
        yield (
            f"Of the lock file {code(environment.lock_file)} a digest is known: {code(environment.lock_digest)}. "
            "It was not in a clone at hand when this was written."
        )


def _data(record: Record) -> Iterator[str]:
    unproven = [code(dataset.name) for dataset in record.datasets if not dataset.digest]
    if unproven:
        yield f"These datasets were recorded without a digest, which would prove them: {listed(unproven, _MOST_NAMED)}."
    if not record.datasets:
        yield "No dataset was recorded."
    if not record.params:
        yield "No parameter was recorded."
