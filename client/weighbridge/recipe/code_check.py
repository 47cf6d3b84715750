"""The code that is here beside the code that was recorded."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from weighbridge.capture.submodules import Submodule
from weighbridge.core.values import SourceCode
from weighbridge.recipe.findings import EnvironmentDifference, Finding

INITIALISE = "git submodule update --init --recursive"
"""Does nothing where there are no submodules, or where they are as the commit has them."""


def check_code(recorded: SourceCode, present: SourceCode, inner: Sequence[Submodule] | None) -> Iterator[Finding]:
    """Commit, submodules and changes differ or not; another branch or remote is worth a note.

    ``inner``: the submodules that are here; None where they could not be looked at.
    """
    if not recorded.commit:
        yield "no commit was recorded, so the code could not be compared"
        return
    if present.commit != recorded.commit:
        fix = _checkout(recorded, present) + (f" && {INITIALISE}" if inner or not _in_repository(present) else "")
        yield EnvironmentDifference("commit", recorded.commit, present.commit, fix)
    if not present.commit:
        return  # no repository here: what differs in it is not a question
    if present.branch != recorded.branch:
        yield f"the branch here is {present.branch or 'none'}; {recorded.branch or 'none'} was recorded"
    if present.repository != recorded.repository:
        yield f"the remote here is {present.repository or 'none'}; {recorded.repository or 'none'} was recorded"
    for which, side in (("recorded", recorded), ("present", present)):
        if side.dirty and not (side.diff_digest or side.untracked_digest):
            yield f"the {which} code differs from its commit; how could not be found out, and not be compared"
    if inner is None:
        yield "the submodules here could not be looked at, and not be compared"
    elif present.commit == recorded.commit:
        yield from _submodules(recorded, present, inner)
    yield from _changes(recorded, present, inner or ())


def _submodules(recorded: SourceCode, present: SourceCode, inner: Sequence[Submodule]) -> Iterator[Finding]:
    """Those that are missing or at another commit. A digest says whether these are the recorded changes."""
    for one in inner:
        if not one.present:
            yield EnvironmentDifference(f"submodule {one.path}", one.wanted, "", INITIALISE)
        elif one.present != one.wanted and present.diff_digest != recorded.diff_digest:
            if recorded.diff_digest:  # it may have been there already
                yield f"the submodule {one.path} here is at {one.present}; the commit has it at {one.wanted}"
            else:
                yield EnvironmentDifference(f"submodule {one.path}", one.wanted, one.present, INITIALISE)


def _changes(recorded: SourceCode, present: SourceCode, inner: Sequence[Submodule]) -> Iterator[Finding]:
    if present.diff_digest != recorded.diff_digest:
        within = f" (in submodules too: {INITIALISE}, then git submodule foreach --recursive git stash)"
        fix = (
            "bring the same changes back: the record has their digest, and not the changes themselves"
            if recorded.diff_digest
            else f"git stash, or commit the changes elsewhere{within if inner else ''}"
        )
        yield EnvironmentDifference("changes to tracked files", recorded.diff_digest, present.diff_digest, fix)
    if present.untracked_digest != recorded.untracked_digest:
        fix = (
            "bring the same files back: the record has a digest of their paths, and of the code among them"
            if recorded.untracked_digest
            else "git stash --include-untracked, or have git ignore them ('git status' lists them)"
        )
        yield EnvironmentDifference("untracked files", recorded.untracked_digest, present.untracked_digest, fix)
    elif present.untracked_digest:
        yield (
            "the untracked files here have the recorded paths; of their contents only Python files and what ran "
            "were compared, and what else is in them cannot be"
        )


def _in_repository(present: SourceCode) -> bool:
    return bool(present.commit or present.branch)


def _checkout(recorded: SourceCode, present: SourceCode) -> str:
    checkout = f"git checkout --detach {shlex.quote(recorded.commit)}"
    if _in_repository(present):
        return checkout
    if not recorded.repository:
        return f"go into a clone that has the commit, then {checkout}"
    return f"git clone -- {shlex.quote(recorded.repository)} code && cd code && {checkout}"
