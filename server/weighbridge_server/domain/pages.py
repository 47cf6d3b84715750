"""Page tokens: the key that the next page begins after, opaque to clients."""

from __future__ import annotations

import base64
import binascii
import json

from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.text_check import wrong_text

DEFAULT_SIZE = 100


def page_token(key: str) -> str:
    """The token of the page after ``key``."""
    return base64.urlsafe_b64encode(key.encode()).decode()


def page_key(token: str) -> str:
    """The key in a token; empty for the first page.

    Raises:
        InvalidRequest: no list returned this token.
    """
    try:
        key = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as fault:
        raise not_ours() from fault
    if "\0" in key:
        raise not_ours()
    return key


def page_number(token: str) -> int:
    """The numeric key in a token; 0 for the first page.

    Raises:
        InvalidRequest: no list returned this token.
    """
    key = page_key(token)
    if not key:
        return 0
    if not (key.isascii() and key.isdecimal()) or len(key) > 18:
        raise not_ours()
    return int(key)


def page_texts(token: str, count: int) -> list[str]:
    """The key in a token of ``texts_token``; as many empty texts for the first page.

    Raises:
        InvalidRequest: no list returned this token.
    """
    key = page_key(token)
    if not key:
        return [""] * count
    try:
        texts = json.loads(key)
    except (ValueError, RecursionError) as fault:
        raise not_ours() from fault
    if not isinstance(texts, list) or len(texts) != count or any(any(wrong_text("", text)) for text in texts):
        raise not_ours()
    return texts


def texts_token(*texts: str) -> str:
    """The token of the page after a key of several texts."""
    return page_token(json.dumps(texts))


def not_ours() -> InvalidRequest:
    """The error for a token that no list returned."""
    return InvalidRequest(
        "the page token is not one that this call returned",
        violations=[Violation("page_token", "pass next_page_token of the page before, or nothing")],
    )
