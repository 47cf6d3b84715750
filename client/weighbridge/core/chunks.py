"""What a chunk is, in its two forms: named in a list, and encoded on its way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from weighbridge.core.digest import Digest

Buffer = bytes | bytearray | memoryview
"""Bytes, whoever owns them."""


class Codec(IntEnum):
    """How a payload gives its raw bytes. The numbers are those of the protos and of the packs."""

    RAW = 1
    ZSTD = 2
    PLANES = 3


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """One entry of a file's chunk list: the digest and the length of the raw bytes."""

    digest: Digest
    raw_bytes: int


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk as it travels and as it is stored.

    Nothing in it is trusted until ``codec.open_chunk`` has decoded and hashed it.
    """

    digest: Digest
    raw_bytes: int
    codec: Codec
    payload: Buffer
