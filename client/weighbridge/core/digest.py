"""BLAKE3-256 digests: of chunks, of files and of manifests.

A digest is 32 bytes inside the program and ``b3:<64 lowercase hex digits>`` where people see it.
"""

from __future__ import annotations

import re

from blake3 import blake3

from weighbridge.core.errors import InvalidReference

Digest = bytes
"""32 bytes."""

SIZE_BYTES = 32

_TEXT = re.compile(r"b3:([0-9a-f]{64})")


def chunk_digest(raw: bytes | bytearray | memoryview) -> Digest:
    """The digest that names a chunk: BLAKE3-256 of its raw bytes."""
    return blake3(raw).digest()


def format_digest(digest: Digest) -> str:
    """``b3:<hex>``, the form for people, JSON and references."""
    return "b3:" + digest.hex()


def parse_digest(text: str) -> Digest:
    """The 32 bytes of a ``b3:<hex>`` text.

    Raises:
        InvalidReference: the text is not of that form.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InvalidReference(f"{text!r} is not a digest; it is written b3: and 64 lowercase hex digits")
    return bytes.fromhex(match[1])
