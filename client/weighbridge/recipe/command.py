"""The recorded command line, as a script that runs it again: ``run.sh``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from weighbridge.capture.redaction import REDACTED
from weighbridge.core.values import SourceCode
from weighbridge.recipe.plain import one_line

_PYTHON = re.compile(r"python[0-9.]*")
_CODE = re.compile("-[a-zA-Z]*c")
_CUT = "…"
_SHORTEST_CUT_BYTES = 4000
"""The capture cuts longer arguments than it records, and adds the sign."""
_KERNELS = frozenset({"ipykernel_launcher", "ipykernel", "colab_kernel_launcher"})
_COMMAND_LINE = "weighbridge.cli.main"
_WIDTH = 100


@dataclass(frozen=True)
class Secret:
    """A value that was left out of the command, and the variable that ``run.sh`` takes in its place."""

    variable: str
    where: str
    """``after`` or ``in``."""
    argument: str
    """Such as ``--hf-token``."""


def unrunnable(source: SourceCode | None) -> str:
    """Why the command that was recorded does not make the files again; empty where it may."""
    if source is None or not source.command:
        return "no command was recorded"
    entry = PurePosixPath(source.entry_point)
    if source.entry_point == _COMMAND_LINE or entry.name == "weighbridge":
        return "the files were pushed from the command line, and what made them was not recorded"
    if source.entry_point in _KERNELS:
        return "it ran in a notebook, and cells are not recorded"
    if not source.entry_point and not any(map(_CODE.fullmatch, source.command)):
        return "it was typed in or piped into Python, and what was said there was not recorded"
    return ""


def cut_arguments(command: Sequence[str]) -> bool:
    """Whether the record had no room for all of the command line."""
    return bool(command) and (
        command[-1] == _CUT or any(one.endswith(_CUT) and len(one.encode()) >= _SHORTEST_CUT_BYTES for one in command)
    )


def secrets(command: Sequence[str]) -> list[Secret]:
    """What was left out of the command, in order."""
    found: list[Secret] = []
    for place, argument in enumerate(command):
        for _ in range(argument.count(REDACTED)):
            variable = f"SECRET_{len(found) + 1}"
            whole = argument == REDACTED and place > 0
            found.append(Secret(variable, *(("after", command[place - 1]) if whole else ("in", argument))))
    return found


def working_folder(source: SourceCode) -> str:
    """From the repository's root, the folder in which the script was named as the command names it; ``.`` the root."""
    place = _script(source)
    if place is not None:
        entry, argument = PurePosixPath(source.entry_point), PurePosixPath(source.command[place])
        if _ends_with(entry, argument):
            return str(PurePosixPath(*entry.parts[: len(entry.parts) - len(argument.parts)]))
    return "."


def run_script(ref: str, source: SourceCode | None) -> str | None:
    """The script; None where the record has no command that would make the files again."""
    if source is None or unrunnable(source):
        return None
    return "\n".join(_lines(ref, source)) + "\n"


def _lines(ref: str, source: SourceCode) -> Iterator[str]:
    yield "#!/bin/sh"
    yield f"# What made {one_line(ref)}, run again. Start it from the root of a clone; README.md says how."
    yield "set -eu"
    script = _script(source)
    if script is not None:
        entry = shlex.quote(source.entry_point)
        yield f'[ -f {entry} ] || {{ echo "not the root of the clone: the script is not here" >&2; exit 1; }}'
        folder = working_folder(source)
        if folder != ".":
            yield f"cd {shlex.quote('./' + folder)}"
    if cut_arguments(source.command):
        yield "# The record had no room for all of the command. Complete it where it has …, then take out this line:"
        yield 'echo "the recorded command is not complete: see run.sh" >&2; exit 1'
    for secret in secrets(source.command):
        yield f"# {secret.variable}: {secret.where} {one_line(secret.argument)}"
    if script is not None and not _as_typed(source, script):
        yield f"# The script was named {one_line(source.command[script])}"
    yield from _command(source, script)


def _command(source: SourceCode, script: int | None) -> Iterator[str]:
    words: list[str] = []
    numbers = iter(range(1, 1 + sum(argument.count(REDACTED) for argument in source.command)))
    for place, argument in enumerate(source.command):
        if place == script and not _as_typed(source, place):
            argument = source.entry_point
        words.append(_word(argument, numbers))
    if _PYTHON.fullmatch(PurePosixPath(source.command[0]).name):
        yield f"python={words[0]}  # as it was recorded; PYTHON=python takes another"
        words[0] = '"${PYTHON:-$python}"'
    yield " \\\n    ".join(_wrapped(["exec", *words]))


def _word(argument: str, numbers: Iterator[int]) -> str:
    """An argument for a shell, with a variable for each secret in it."""
    first, *others = argument.split(REDACTED)
    parts = [shlex.quote(first)] if first or not others else []
    for text in others:
        parts.append(f'"${{SECRET_{next(numbers)}:?was not recorded: see README.md}}"')
        parts += [shlex.quote(text)] if text else []
    return "".join(parts)


def _wrapped(words: Sequence[str]) -> Iterator[str]:
    """The words on lines of a readable length."""
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _script(source: SourceCode) -> int | None:
    """The place in the command of the script in the repository; None where there is none."""
    entry = PurePosixPath(source.entry_point)
    if not source.entry_point or entry.is_absolute():
        return None
    for place, argument in enumerate(source.command[1:], 1):
        if PurePosixPath(argument).name == entry.name:
            return None if source.command[place - 1] == "-m" else place
    return None


def _as_typed(source: SourceCode, place: int) -> bool:
    """Whether the script's name means the same in a clone; an absolute one, or one with ``..``, need not."""
    return _ends_with(PurePosixPath(source.entry_point), PurePosixPath(source.command[place]))


def _ends_with(path: PurePosixPath, end: PurePosixPath) -> bool:
    return bool(end.parts) and path.parts[-len(end.parts) :] == end.parts
