"""What moves an alias must be like this, checked by the SDK before anything is sent and by the server again."""

from __future__ import annotations

from weighbridge.core.errors import InvalidName, InvalidReference, InvalidRequest, Violation
from weighbridge.core.model_check import wrong_reason
from weighbridge.core.refs import check_alias, check_model_name
from weighbridge.core.values import Stage

STAGE_ALIASES = (str(Stage.PRODUCTION), str(Stage.STAGING))
"""Point at the one version that is in the stage. Promotions and rollbacks move them, and nothing else."""

_LARGEST = 2**63 - 1


def check_alias_change(
    model: str, alias: str, reason: str, expected_revision: int | None, *, version: int | None = None
) -> None:
    """Checks an alias that is to be set to ``version``, or removed.

    Raises:
        InvalidName, InvalidReference, InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = [
        *_wrong_number("version", version, 1),
        *_wrong_number("expected_revision", expected_revision, 0),
        *wrong_reason(reason),
    ]
    if alias in STAGE_ALIASES:
        violations.insert(0, Violation("alias", f"is {alias}, which only promotions and rollbacks move"))
    elif alias in tuple(Stage) and version is not None:
        violations.insert(0, Violation("alias", f"is {alias}, a stage, which many versions hold; choose another name"))
    _refuse(model, alias, violations, f"alias {alias[:80]!r} cannot be changed so")


def check_rollback(model: str, alias: str, reason: str, to: int | None, expected_revision: int | None) -> None:
    """Checks what rolls an alias back, to the version ``to`` or to the last holder.

    Raises:
        InvalidName, InvalidReference, InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = [
        *_wrong_number("to_version", to, 1),
        *_wrong_number("expected_revision", expected_revision, 0),
        *wrong_reason(reason),
    ]
    if isinstance(reason, str) and not reason.strip():
        violations.append(Violation("reason", "is empty; a rollback has one, and the history keeps it"))
    _refuse(model, alias, violations, f"alias {alias[:80]!r} cannot be rolled back so")


def check_promotion(stage: Stage, reason: str, expected_revision: int | None) -> None:
    """Checks what moves a version to a stage.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = [*_wrong_number("expected_revision", expected_revision, 0), *wrong_reason(reason)]
    if expected_revision is not None and stage not in STAGE_ALIASES:
        what = f"is of the pointers of {' and '.join(STAGE_ALIASES)}; {stage} has none"
        violations.append(Violation("expected_revision", what))
    if violations:
        raise InvalidRequest(f"no version can be moved to {stage} so", violations=violations)


def _wrong_number(field: str, number: int | None, least: int) -> list[Violation]:
    if number is None:
        return []
    if isinstance(number, bool) or not isinstance(number, int):  # callers without a type checker
        return [Violation(field, f"is a {type(number).__name__}, not a whole number")]
    if not least <= number <= _LARGEST:
        return [Violation(field, f"is {number}; it is a number from {least} to 2^63 - 1")]
    return []


def _refuse(model: str, alias: str, violations: list[Violation], what: str) -> None:
    """With everything that is wrong, whatever stands first."""
    faults: list[InvalidName | InvalidReference] = []
    try:
        check_model_name(model)
    except InvalidName as fault:
        faults.append(fault)
    try:
        check_alias(alias)
    except InvalidReference as fault:
        faults.append(fault)
    if faults:
        named = [violation for fault in faults for violation in fault.violations]
        raise type(faults[0])(faults[0].message, violations=[*named, *violations])
    if violations:
        raise InvalidRequest(what, violations=violations)
