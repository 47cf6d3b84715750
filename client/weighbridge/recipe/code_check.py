"""The code that is here beside the code that was recorded."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from weighbridge.core.values import SourceCode
from weighbridge.recipe.findings import EnvironmentDifference, Finding


def check_code(recorded: SourceCode, present: SourceCode) -> Iterator[Finding]:
    """Commit and changes differ or not; another branch or remote is worth a note."""
    if not recorded.commit:
        yield "no commit was recorded, so the code could not be compared"
        return
    if present.commit != recorded.commit:
        yield EnvironmentDifference("commit", recorded.commit, present.commit, _checkout(recorded, present))
    if not present.commit:
        return  # no repository here: what differs in it is not a question
    if present.branch != recorded.branch:
        yield f"the branch here is {present.branch or 'none'}; {recorded.branch or 'none'} was recorded"
    if present.repository != recorded.repository:
        yield f"the remote here is {present.repository or 'none'}; {recorded.repository or 'none'} was recorded"
    for which, side in (("recorded", recorded), ("present", present)):
        if side.dirty and not (side.diff_digest or side.untracked_digest):
            yield f"the {which} code differs from its commit; how could not be found out, and not be compared"
    yield from _changes(recorded, present)


def _changes(recorded: SourceCode, present: SourceCode) -> Iterator[Finding]:
    if present.diff_digest != recorded.diff_digest:
        fix = (
            "bring the same changes back: the record has their digest, and not the changes themselves"
            if recorded.diff_digest
            else "git stash, or commit the changes elsewhere"
        )
        yield EnvironmentDifference("changes to tracked files", recorded.diff_digest, present.diff_digest, fix)
    if present.untracked_digest != recorded.untracked_digest:
        fix = (
            "bring the same files back: the record has a digest of their paths only"
            if recorded.untracked_digest
            else "git stash --include-untracked, or have git ignore them ('git status' lists them)"
        )
        yield EnvironmentDifference("untracked files", recorded.untracked_digest, present.untracked_digest, fix)


def _checkout(recorded: SourceCode, present: SourceCode) -> str:
    checkout = f"git checkout --detach {shlex.quote(recorded.commit)}"
    if present.commit or present.branch:  # in a repository
        return checkout
    if not recorded.repository:
        return f"go into a clone that has the commit, then {checkout}"
    return f"git clone -- {shlex.quote(recorded.repository)} code && cd code && {checkout}"
