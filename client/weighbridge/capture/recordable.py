"""Text of this machine, made fit for a record."""

from __future__ import annotations

_LONGEST_BYTES = 1024
"""Within what the protos allow for each text that is captured."""


def recordable(text: str, longest_bytes: int = _LONGEST_BYTES) -> str:
    r"""As ``recordable_as_is``, without white space around it."""
    return recordable_as_is(text.replace("\0", "").strip(), longest_bytes)


def recordable_as_is(text: str, longest_bytes: int) -> str:
    r"""The text in Unicode without NUL; a byte that is none reads ``\udc80``."""
    encoded = text.replace("\0", "").encode(errors="backslashreplace")
    if len(encoded) > longest_bytes:
        encoded = encoded[: longest_bytes - len("…".encode())].decode(errors="ignore").encode() + "…".encode()
    return encoded.decode()
