"""What every text must be that is kept: PostgreSQL takes no NUL, and half of a surrogate pair has no UTF-8."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.errors import InvalidRequest, Violation


def wrong_text(
    field: str, text: str, *, most_chars: int | None = None, most_bytes: int | None = None, advice: str = ""
) -> Iterator[Violation]:
    """What is wrong with a text, which may be empty; ``advice`` is for one of too many bytes."""
    if not isinstance(text, str):  # callers without a type checker
        yield Violation(field, f"is a {type(text).__name__}, not text")
        return
    if "\0" in text:
        yield Violation(field, "contains a NUL character")
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        yield Violation(field, "is not valid Unicode")
        return
    if most_chars is not None and len(text) > most_chars:
        yield Violation(field, f"has {len(text)} characters, at most {most_chars} are kept")
    if most_bytes is not None and size_bytes > most_bytes:
        yield Violation(field, f"has {size_bytes} bytes, at most {most_bytes} are kept{advice}")


def checked_text(field: str, text: str, *, most_chars: int | None = None) -> str:
    """Returns a text that is right. Raises: InvalidRequest."""
    violations = list(wrong_text(field, text, most_chars=most_chars))
    if violations:
        raise InvalidRequest(f"the {field} cannot be taken", violations=violations)
    return text
