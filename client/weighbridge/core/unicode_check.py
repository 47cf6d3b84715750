"""Text that something is asked for by: what is no Unicode cannot be sent, and nothing has it."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.core.errors import InvalidRequest, Violation


def check_unicode(what: str, texts: Mapping[str, str]) -> None:
    """Checks texts by the names of their fields; ``what`` begins the message, such as ``events``.

    Raises:
        InvalidRequest: with one violation for each that is not valid Unicode.
    """
    violations = [Violation(field, "is not valid Unicode") for field, text in texts.items() if not _encodes(text)]
    if violations:
        raise InvalidRequest(f"{what} cannot be asked for", violations=violations)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
