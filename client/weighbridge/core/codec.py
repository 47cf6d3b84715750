"""Encoding and decoding of one chunk: the seam behind which codecs are added.

To add a codec: a number in ``Codec`` and in ``transfer.proto``, a coder in ``_CODERS``, its format in
``protos/SPEC.md``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

import zstandard

from weighbridge.core.chunks import Codec, EncodedChunk
from weighbridge.core.digest import Digest, chunk_digest, format_digest
from weighbridge.core.errors import ChunkMismatch
from weighbridge.core.limits import CHUNK_BYTES


class _Coder(Protocol):
    def encode(self, raw: bytes) -> bytes: ...

    def decode(self, payload: bytes, raw_bytes: int) -> bytes:
        """Exactly ``raw_bytes`` bytes, or ValueError; allocates no more than that."""
        ...


class _Raw:
    def encode(self, raw: bytes) -> bytes:
        return raw

    def decode(self, payload: bytes, raw_bytes: int) -> bytes:
        return payload


class _Zstd(threading.local):
    """One frame that states its content size. zstandard's contexts must not be shared by threads."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()

    def encode(self, raw: bytes) -> bytes:
        return self._compressor.compress(raw)

    def decode(self, payload: bytes, raw_bytes: int) -> bytes:
        try:
            # zstandard allocates what the frame states, whatever max_output_size says: look first.
            stated = zstandard.get_frame_parameters(payload).content_size
            if stated != raw_bytes:
                raise ValueError("the zstd frame states another size than the chunk")
            return self._decompressor.decompress(payload, max_output_size=raw_bytes, allow_extra_data=False)
        except zstandard.ZstdError as fault:
            raise ValueError(f"not a whole zstd frame: {fault}") from fault


_RAW = _Raw()
_CODERS: Mapping[Codec, _Coder] = {Codec.RAW: _RAW, Codec.ZSTD: _Zstd()}

# Chooses the codec: an encoding is kept where it saves at least this share of the raw size, since
# every reader pays for decoding it.
_WORTHWHILE = 1 / 64


def encode_chunk(raw: bytes, digest: Digest) -> EncodedChunk:
    """Encodes raw bytes of 1 to 2 MiB whose digest is known; never longer than the raw bytes."""
    payload = _CODERS[Codec.ZSTD].encode(raw)
    if len(payload) <= len(raw) * (1 - _WORTHWHILE):
        return EncodedChunk(digest, len(raw), Codec.ZSTD, payload)
    return EncodedChunk(digest, len(raw), Codec.RAW, raw)


def open_chunk(chunk: EncodedChunk) -> bytes:
    """Decodes a chunk and verifies it. This is where a digest is first trusted, on either side.

    Returns the raw bytes, at most 2 MiB; allocates no more, whatever the payload claims.

    Raises:
        ChunkMismatch: length, frame or digest is not what the chunk says.
    """
    if not 1 <= chunk.raw_bytes <= CHUNK_BYTES:
        raise _mismatch(chunk, f"it says {chunk.raw_bytes} bytes; a chunk has 1 to {CHUNK_BYTES}")
    if not 1 <= len(chunk.payload) <= chunk.raw_bytes:
        raise _mismatch(chunk, f"its payload of {len(chunk.payload)} bytes is empty or longer than its raw bytes")
    coder = _CODERS.get(chunk.codec)
    if coder is None:
        raise _mismatch(chunk, f"codec {int(chunk.codec)} is not known to this release")
    try:
        raw = coder.decode(chunk.payload, chunk.raw_bytes)
    except ValueError as fault:
        raise _mismatch(chunk, str(fault)) from fault
    if len(raw) != chunk.raw_bytes:
        raise _mismatch(chunk, f"it decodes to {len(raw)} bytes and says {chunk.raw_bytes}")
    actual = chunk_digest(raw)
    if actual != chunk.digest:
        raise _mismatch(chunk, f"its bytes have the digest {format_digest(actual)}")
    return raw


def _mismatch(chunk: EncodedChunk, what: str) -> ChunkMismatch:
    name = format_digest(chunk.digest)
    return ChunkMismatch(f"chunk {name} is not what it says: {what}", details={"digest": name})
