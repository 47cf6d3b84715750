"""How a version that is to be deleted or restored must be named, and why."""

from __future__ import annotations

from weighbridge.core.errors import InvalidReference, InvalidRequest, Violation
from weighbridge.core.model_check import wrong_reason
from weighbridge.core.refs import Ref, parse_ref


def check_version_deletion(reason: str) -> None:
    """Checks why a version is to be deleted.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = wrong_reason(reason)
    if not violations and not reason.strip():
        violations.append(Violation("reason", "is empty; whoever looks for the version is told it"))
    if violations:
        raise InvalidRequest("the version cannot be deleted", violations=violations)


def numbered_ref(text: str) -> Ref:
    """Reads a reference that must have a number: a deleted version is not the newest, and no alias points at it.

    Raises:
        InvalidReference, InvalidName: it cannot be read, or has none.
    """
    ref = parse_ref(text)
    if ref.version is None:
        raise InvalidReference(
            f"{text!r} does not say which deleted version; name it by its number, such as {ref.model}:7 "
            f"('weighbridge versions {ref.model} --deleted' lists them)"
        )
    return ref
