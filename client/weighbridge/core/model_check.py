"""What is said of a model must be like this, checked by the SDK before anything is sent and by the server again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from weighbridge.core.errors import InvalidName, InvalidRequest, Violation
from weighbridge.core.limits import CARD_BYTES, DESCRIPTION_BYTES, NAME_CHARS, REASON_CHARS
from weighbridge.core.refs import check_model_name
from weighbridge.core.text_check import wrong_text

TEXTS: tuple[Literal["owner", "team", "contact", "description", "card"], ...] = (
    "owner",
    "team",
    "contact",
    "description",
    "card",
)
"""What people say of a model."""

_CHARS = {"owner": NAME_CHARS, "team": NAME_CHARS, "contact": NAME_CHARS, "reason": REASON_CHARS}
_BYTES = {"description": DESCRIPTION_BYTES, "card": CARD_BYTES}
_ADVICE = {
    "description": "; a description is a sentence, what is longer belongs into the card",
    "card": "; push long documents as files of a version",
}


def check_new_model(name: str, texts: Mapping[str, str]) -> None:
    """Checks a model that is to be registered.

    Raises:
        InvalidName, InvalidRequest: with one violation for each thing that is wrong.
    """
    _refuse(name, _wrong(texts), f"model {name} cannot be registered")


def check_model_update(name: str, texts: Mapping[str, str]) -> None:
    """Checks what is to be changed of a model: the texts that are given.

    Raises:
        InvalidName, InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = _wrong(texts)
    if not texts:
        violations.append(Violation("request", f"changes nothing; give one of {', '.join(TEXTS)}"))
    if texts.get("owner") == "":
        violations.append(Violation("owner", "is empty; a model has an owner"))
    _refuse(name, violations, f"model {name} cannot be updated")


def check_model_deletion(name: str, reason: str) -> None:
    """Checks why a model is to be deleted.

    Raises:
        InvalidName, InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = wrong_reason(reason)
    if not violations and not reason.strip():
        violations.append(Violation("reason", "is empty; whoever looks for the model is told it"))
    _refuse(name, violations, f"model {name} cannot be deleted")


def wrong_reason(reason: str) -> list[Violation]:
    """What is wrong with why somebody does something; it may be empty."""
    return _wrong({"reason": reason})


def _refuse(name: str, violations: list[Violation], what: str) -> None:
    try:
        check_model_name(name)
    except InvalidName as fault:
        raise InvalidName(fault.message, violations=[*fault.violations, *violations]) from None
    if violations:
        raise InvalidRequest(what, violations=violations)


def _wrong(texts: Mapping[str, str]) -> list[Violation]:
    return [
        violation
        for field, text in texts.items()
        for violation in wrong_text(
            field, text, most_chars=_CHARS.get(field), most_bytes=_BYTES.get(field), advice=_ADVICE.get(field, "")
        )
    ]
