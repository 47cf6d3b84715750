"""Text of this machine, made fit for a record."""

from __future__ import annotations

_LONGEST_BYTES = 1024
"""Within what the protos allow for each text that is captured."""


def recordable(text: str, longest_bytes: int = _LONGEST_BYTES) -> str:
    r"""The text in Unicode without NUL and white space around it; a byte that is none reads ``\udc80``."""
    encoded = text.replace("\0", "").strip().encode(errors="backslashreplace")
    if len(encoded) > longest_bytes:
        encoded = encoded[: longest_bytes - len("…".encode())].decode(errors="ignore").encode() + "…".encode()
    return encoded.decode()
