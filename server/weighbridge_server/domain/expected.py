"""Whoever changes something may say which revision they saw; who saw an older one is told so."""

from __future__ import annotations

from weighbridge.core.errors import RevisionConflict


def check_expected(what: str, resource: str, revision: int, value: str, expected: int | None) -> None:
    """Lets nobody change what they have not seen.

    Args:
        what: is to be set, for the message.
        resource: as the journal names it.
        revision: the present one; 0: none was set.
        value: what stands for its text.
        expected: the one that the caller saw; None: whatever is there.

    Raises:
        RevisionConflict: it is another.
    """
    if expected is None or expected == revision:
        return
    stands = f"is at revision {revision}" if revision else "is not set"
    wanted = f"revision {expected} was expected" if expected else "none was expected"
    raise RevisionConflict(
        f"{what} {stands}, and {wanted}: somebody set it first. Look again and decide anew",
        details={"resource": resource, "revision": str(revision), "value": value},
    )
