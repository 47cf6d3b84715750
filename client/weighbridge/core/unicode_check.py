"""Text that something is asked for by: what is no Unicode cannot be sent, and nothing has it."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.core.errors import InvalidRequest, Violation


def check_unicode(what: str, texts: Mapping[str, str]) -> None:
    """Checks texts by the names of their fields; ``what`` begins the message, such as ``events``.

    Raises:
        InvalidRequest: with one violation for each that is not valid Unicode, or no text at all.
    """
    wrong = {field: _what_is_wrong(text) for field, text in texts.items()}
    violations = [Violation(field, what) for field, what in wrong.items() if what is not None]
    if violations:
        raise InvalidRequest(f"{what} cannot be asked for", violations=violations)


def _what_is_wrong(text: str) -> str | None:
    if not isinstance(text, str):  # callers without a type checker
        return f"is a {type(text).__name__}, not text"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None
