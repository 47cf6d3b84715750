"""Encoding and decoding of one chunk: the seam behind which codecs are added.

To add a codec: a number in ``Codec`` and in ``transfer.proto``, a coder in ``_DECODERS``, a way to it in ``ways``,
its format in ``protos/SPEC.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from weighbridge.core.chunks import Buffer, Codec, EncodedChunk
from weighbridge.core.codec import planes_codec, zstd_codec
from weighbridge.core.codec.ways import best_way
from weighbridge.core.digest import Digest, chunk_digest, format_digest
from weighbridge.core.errors import ChunkMismatch
from weighbridge.core.limits import CHUNK_BYTES

_DECODERS: Mapping[Codec, Callable[[Buffer, int], Buffer]] = {
    Codec.RAW: lambda payload, raw_bytes: payload,
    Codec.ZSTD: zstd_codec.decode,
    Codec.PLANES: planes_codec.decode,
}
"""Each gives exactly as many bytes as it is asked for, or ValueError, and allocates little more than that."""

# An encoding is kept where it saves at least this share of the raw size, since every reader pays for decoding it.
_WORTHWHILE = 1 / 64


def prepare() -> None:
    """Loads what coding needs; else the first chunk does, which takes as long as a hundred others.

    Importing the SDK does not: whoever only looks things up need not wait for numpy.
    """
    import weighbridge.core.codec.planes  # noqa: F401


def encode_chunk(raw: Buffer, digest: Digest, dtype: str | None = None) -> EncodedChunk:
    """Encodes raw bytes of 1 to 2 MiB whose digest is known; never longer than the raw bytes.

    Args:
        raw: what is encoded. Where nothing saves enough, it is the payload itself and not a copy.
        digest: its BLAKE3-256, which is not computed again.
        dtype: what it holds from its first byte to its last, as ``Span.dtype`` says. Only a hint: it makes the
            choice quicker, and a wrong one costs size and nothing else.
    """
    way = best_way(raw, dtype)
    if way is not None:
        payload = way.encode(raw)
        if len(payload) <= len(raw) * (1 - _WORTHWHILE):
            return EncodedChunk(digest, len(raw), way.codec, payload)
    return EncodedChunk(digest, len(raw), Codec.RAW, raw)


def open_chunk(chunk: EncodedChunk) -> Buffer:
    """Decodes a chunk and verifies it. This is where a digest is first trusted, on either side.

    Returns the raw bytes, at most 2 MiB; allocates little more, whatever the payload claims.

    Raises:
        ChunkMismatch: length, payload or digest is not what the chunk says.
    """
    if not 1 <= chunk.raw_bytes <= CHUNK_BYTES:
        raise _mismatch(chunk, f"it says {chunk.raw_bytes} bytes; a chunk has 1 to {CHUNK_BYTES}")
    if not 1 <= len(chunk.payload) <= chunk.raw_bytes:
        raise _mismatch(chunk, f"its payload of {len(chunk.payload)} bytes is empty or longer than its raw bytes")
    decode = _DECODERS.get(chunk.codec)
    if decode is None:
        raise _mismatch(chunk, f"codec {int(chunk.codec)} is not known to this release")
    try:
        raw = decode(chunk.payload, chunk.raw_bytes)
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
