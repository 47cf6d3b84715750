"""Whether two versions were made by other code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from weighbridge.core.direction import words
from weighbridge.core.values import Record, Scalar, SourceCode
from weighbridge_server.domain.comparison.fields import Fields, field_differences
from weighbridge_server.domain.comparison.wording import change, changes, cut

_COMMIT_CHARS = 12
_OUTCOME = frozenset("o out output outputs log logs logging save run job experiment tmp cache debug verbose".split())
"""Words of options that say where what is made goes, or what it is called: they change with every run, and nothing
with them."""
_OURS = ("weighbridge", "weighbridge.cli.main")


def code_recorded(record: Record) -> bool:
    """Whether a version says which code made it."""
    return record.source is not None and bool(record.source.commit)


def code_may_differ(before: Record, after: Record) -> bool:
    """Whether code may have changed unseen: files that git does not track are not all known by their contents."""
    sides = (before.source, after.source)
    return all(side is not None and side.untracked_digest for side in sides)


def code_changes(before: Record, after: Record) -> list[str]:
    """What changed of the code, in words; nothing where one side records none."""
    old, new = before.source, after.source
    if old is None or new is None:
        return []
    found = []
    if old.repository and new.repository and old.repository != new.repository:
        found.append(change("repository", old.repository, new.repository))
    if old.commit and new.commit and old.commit != new.commit:
        found.append(change("commit", *cut(old.commit, new.commit, _COMMIT_CHARS)))
    if code_recorded(before) and code_recorded(after):
        found += _uncommitted("changes to tracked files", old.diff_digest, new.diff_digest)
        found += _uncommitted("untracked files", old.untracked_digest, new.untracked_digest)
    return found + _program(old, new)


def _uncommitted(what: str, before: str, after: str) -> list[str]:
    if before == after:
        return []
    if before and after:
        return [f"other uncommitted {what}"]
    return [f"uncommitted {what}, none before" if after else f"no uncommitted {what}, some before"]


def _program(before: SourceCode, after: SourceCode) -> list[str]:
    """What ran. ``weighbridge push`` made no weights, so its command line says nothing of them."""
    if _ours(before) or _ours(after):
        return []
    found = []
    if before.entry_point and after.entry_point and before.entry_point != after.entry_point:
        found.append(change("entry point", before.entry_point, after.entry_point))
    options = [_options(side.command) for side in (before, after)] if before.command and after.command else []
    return found + changes(field_differences(options), "command: ")


def _ours(source: SourceCode) -> bool:
    return PurePosixPath(source.entry_point).name in _OURS


def _options(command: Sequence[str]) -> Fields:
    """The options of a command line with their values, and its arguments without an option."""
    found: dict[str, list[str]] = {}
    option = "arguments"
    # Where the interpreter is, is a matter of the machine.
    for word in command[1:] if PurePosixPath(command[0]).name.startswith("python") else command:
        if word.startswith("-") and not word[1:2].isdecimal():
            option, equals, value = word.partition("=")
            found.setdefault(option, [])
            if equals:
                found[option].append(value)
                option = "arguments"
        else:
            found.setdefault(option, []).append(word)
    kept: dict[str, Scalar] = {
        option: " ".join(values) for option, values in found.items() if not _OUTCOME.intersection(words(option))
    }
    return kept
