"""``README.md`` of a recipe: the way to make a version again, step by step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC

from weighbridge.core.digest import format_digest
from weighbridge.core.values import Environment, Record, SourceCode, Version
from weighbridge.recipe.code_check import INITIALISE
from weighbridge.recipe.command import secrets, unrunnable
from weighbridge.recipe.lock_file import LockFile
from weighbridge.recipe.plain import code, one_line
from weighbridge.recipe.requirements import OURS

_MINOR = re.compile(r"3\.[0-9]+")
_LOCKED = {
    "uv.lock": "uv sync --frozen",
    "poetry.lock": "poetry sync",
    "Pipfile.lock": "pipenv sync",
    "conda-lock.yml": "conda-lock install --prefix ../venv conda-lock.yml",
    "conda-lock.yaml": "conda-lock install --prefix ../venv conda-lock.yaml",
}


def readme_text(version: Version, record: Record, lock: LockFile | None, gaps: Sequence[str], server: str) -> str:
    """The whole text."""
    parts = [_head(version, record, server), _code(record.source)]
    parts += [_environment(record.environment, lock), _data(record), _check(version.ref, server)]
    parts += [_run(record.source), _compare(version), _gaps(gaps)]
    return "\n".join("\n".join(lines) + "\n" for lines in parts)


def _head(version: Version, record: Record, server: str) -> Iterator[str]:
    yield f"# Making {version.ref} again"
    yield ""
    time = version.created_time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"{code(version.ref)} was committed on {time} by {code(version.creator)}; its record is kept by the"
    yield f"Weighbridge server at {code(server)}. Its content is {code(format_digest(version.manifest))}."
    if record.description:
        yield ""
        yield f"Described as: {code(record.description)}"
    yield ""
    yield "Every command below begins in this folder, or where the one before it left you. `recipe.json` has all of"
    yield "this for programs. What the record cannot give back is listed at the end: read it first."


def _code(source: SourceCode | None) -> Iterator[str]:
    yield "## 1. The code"
    yield ""
    if source is None or not source.commit:
        yield "No commit was recorded. Put the code into a folder `code` and go there."
        return
    where = shlex.quote(source.repository) if source.repository else "REPOSITORY"
    checkout = f"git checkout --detach {shlex.quote(source.commit)}"
    yield from _shell(f"git clone -- {where} code", "cd code", checkout, INITIALISE)
    yield "The last of these gets the submodules, where the commit has some."
    if source.branch:
        yield f"The branch was {code(source.branch)}."
    if source.dirty:
        yield "**Something differed from this commit**, and is not in the record: see the end."


def _environment(environment: Environment | None, lock: LockFile | None) -> Iterator[str]:
    yield "## 2. The environment"
    yield ""
    if environment is None:
        yield "It was not recorded."
        return
    yield from _machine(environment)
    minor = _MINOR.match(environment.python)
    make = f"python{minor[0] if minor else '3'} -m venv ../venv"
    install = ["python -m pip install -r ../requirements.txt"] if environment.packages else []
    yield from _shell(make, ". ../venv/bin/activate", *install)
    ours = " ".join(filter(None, ("Weighbridge", code(environment.packages.get(OURS, "")))))
    yield f"Install {ours} into it too: step 4 compares the Python that it runs in."
    yield from _lock(environment, lock)


def _machine(environment: Environment) -> Iterator[str]:
    devices = ", ".join(code(f"{one.name} (driver {one.driver or 'unknown'})") for one in environment.accelerators)
    facts = {
        "Python": code(" ".join(filter(None, (environment.implementation, environment.python)))),
        "System": ", ".join(filter(None, map(code, (environment.os, environment.platform)))),
        "Processor": code(f"{environment.cpu_count or '?'} x {environment.cpu or 'CPU'}"),
        "Accelerators": devices or "none was found",
        "Container image": code(environment.container_image),
    }
    for name, fact in facts.items():
        if fact:
            yield f"- {name}: {fact}"
    yield ""


def _lock(environment: Environment, lock: LockFile | None) -> Iterator[str]:
    if not environment.lock_digest:
        return
    name, digest = code(environment.lock_file), code(environment.lock_digest)
    if lock is None:
        yield f"The code had a lock file, {name} ({digest}). Where the commit has it, it is more exact than"
        yield "`requirements.txt`; step 4 says whether it is this one."
    else:
        kept = f"the file {code(lock.path)} of the commit" if lock.path else f"{name}, which the commit does not have"
        yield f"The lock file of the code is {kept} ({digest}). It is more exact than `requirements.txt`,"
        yield f"and is copied to {code('lock/' + environment.lock_file)}."
    use = _LOCKED.get(environment.lock_file) or f"python -m pip install -r {shlex.quote(environment.lock_file)}"
    yield f"To install what it says, in its folder: {code(use)}."


def _data(record: Record) -> Iterator[str]:
    yield "## 3. The data and the parameters"
    yield ""
    for dataset in record.datasets:
        facts = {"version": dataset.version, "role": dataset.role, "digest": dataset.digest, "at": dataset.uri}
        said = ", ".join(f"{name} {code(text)}" for name, text in facts.items() if text)
        yield f"- dataset {code(dataset.name)}{': ' if said else ''}{said}"
    for parent in record.parents:
        yield f"- {parent.relation} from {code(parent.ref)}: {code(f'weighbridge pull {parent.ref} ../parents')}"
    if not record.datasets and not record.parents:
        yield "Neither data nor a parent was recorded."
    yield ""
    yield "`params.json` has the parameters with their types, `datasets.json` the data."


def _check(ref: str, server: str) -> Iterator[str]:
    yield "## 4. Is it the same?"
    yield ""
    yield from _shell(f"weighbridge reproduce {shlex.quote(ref)} --check --server {shlex.quote(server)}")
    yield "compares commit, submodules, changes, lock file, Python, packages and machine with what was recorded. Exits"
    yield "with 3 when something differs, and says what to do about each."


def _run(source: SourceCode | None) -> Iterator[str]:
    yield "## 5. Run it"
    yield ""
    reason = unrunnable(source)
    if source is None or reason:
        yield f"There is nothing to run: {reason}."
        if source is not None and source.command:
            yield f"The command that was recorded: {code(shlex.join(source.command))}"
        return
    variables = " ".join(f"{secret.variable}=…" for secret in secrets(source.command))
    yield from _shell(f"{variables} PYTHON=python sh ../run.sh".strip())
    yield f"runs {code(one_line(source.entry_point) or 'the command')} with the arguments that were recorded."
    yield "Where it pushes, it pushes again, as a new version."


def _compare(version: Version) -> Iterator[str]:
    yield "## 6. Compare"
    yield ""
    yield "A version with equal bytes has an equal manifest digest. For a folder that was not pulled,"
    yield ""
    yield from _shell("weighbridge verify FOLDER")
    yield f"says which version has exactly its content. Here it should be {code(format_digest(version.manifest))}."
    yield "Other machines, and much of what computes on accelerators, need not give equal bytes: then compare metrics,"
    yield "which `recipe.json` has."


def _gaps(gaps: Sequence[str]) -> Iterator[str]:
    yield "## What the record cannot give back"
    yield ""
    for gap in gaps:
        yield f"- {gap}"


def _shell(*commands: str) -> Iterator[str]:
    """Commands from a record are quoted, but a line break within quotes would still break the block."""
    yield "```sh"
    yield from map(one_line, commands)
    yield "```"
    yield ""
