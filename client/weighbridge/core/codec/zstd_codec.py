"""``ZSTD``: the whole chunk as one zstd frame (RFC 8878) that states its size.

The frames of ``PLANES`` are made and opened here too: all compression is one library's.
"""

from __future__ import annotations

import threading

import zstandard

from weighbridge.core.chunks import Buffer

_ENTROPY_ONLY = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST, hash_log=6, min_match=7, window_log=20, target_length=0
)
"""Leaves zstd little but its Huffman coder. Exponents repeat no strings worth finding: looking for them takes more
than twice the time, and stating those found by chance takes bits (0.364 of an exponent plane in place of 0.331)."""


class _Contexts(threading.local):
    """zstandard's contexts must not be shared by threads."""

    def __init__(self) -> None:
        self.matching = zstandard.ZstdCompressor(level=1)
        self.entropy = zstandard.ZstdCompressor(compression_params=_ENTROPY_ONLY)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def encode(raw: Buffer) -> bytes:
    """For bytes that may repeat themselves: text, indices, packed formats."""
    return _contexts.matching.compress(raw)


def encode_entropy(raw: Buffer) -> bytes:
    """For bytes of which some are more frequent than others, and no more than that: exponents, quantized weights."""
    return _contexts.entropy.compress(raw)


def decode(frame: Buffer, size: int) -> bytes:
    """The ``size`` bytes of one whole frame; allocates no more, whatever the frame claims.

    Raises:
        ValueError: it is not one whole frame of exactly that size.
    """
    try:
        # zstandard allocates what the frame states, whatever max_output_size says: look first.
        if zstandard.get_frame_parameters(frame).content_size != size:
            raise ValueError("the zstd frame states another size than it should have")
        return _contexts.decompressor.decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as fault:
        raise ValueError(f"not a whole zstd frame: {fault}") from fault
