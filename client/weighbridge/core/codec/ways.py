"""Which codec a chunk gets: what its bytes are said to be narrows the choice, and a sample of them decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from weighbridge.core.chunks import Buffer, Codec
from weighbridge.core.codec import planes_codec, zstd_codec


class Way(NamedTuple):
    """A codec and how its payload is made."""

    codec: Codec
    encode: Callable[[Buffer], bytes]


_MATCHING = Way(Codec.ZSTD, zstd_codec.encode)
_ENTROPY = Way(Codec.ZSTD, zstd_codec.encode_entropy)
_FLOATS = {width: Way(Codec.PLANES, partial(planes_codec.encode, width=width, floats=True)) for width in (2, 4, 8)}
_INTEGERS = {width: Way(Codec.PLANES, partial(planes_codec.encode, width=width, floats=False)) for width in (2, 4, 8)}

_UNKNOWN = (_MATCHING, _FLOATS[2], _FLOATS[4], _FLOATS[8])
"""Checkpoints of PyTorch do not say what they hold without being unpickled: most of it is floats."""

_BYTES = (_ENTROPY, _MATCHING)

_OF_DTYPE: Mapping[str, Sequence[Way]] = {
    "bf16": (_FLOATS[2],),
    "f16": (_FLOATS[2],),
    "f32": (_FLOATS[4],),
    "f64": (_FLOATS[8],),
    "i16": (_MATCHING, _INTEGERS[2]),
    "u16": (_MATCHING, _INTEGERS[2]),
    "i32": (_MATCHING, _INTEGERS[4]),
    "u32": (_MATCHING, _INTEGERS[4]),
    "i64": (_MATCHING, _INTEGERS[8]),
    "u64": (_MATCHING, _INTEGERS[8]),
    "f8": _BYTES,
    "i8": _BYTES,
    "u8": _BYTES,
    "bool": _BYTES,
}

_SLICES = 3
_SLICE_BYTES = 4096
_SMALL = 4 * _SLICES * _SLICE_BYTES
"""Below this a chunk is its own sample."""

_REPETITIVE = 0.5
"""Floats that level 1 gets below this share repeat themselves: zeros, tied rows, a sparse matrix."""

_HOPELESS = 0.99
"""A sample that no way gets below this share stands for a chunk that is not worth a try."""


def best_way(raw: Buffer, dtype: str | None) -> Way | None:
    """The way that makes a sample of these bytes smallest; None where none makes it smaller."""
    ways = _OF_DTYPE.get(dtype or "", _UNKNOWN)
    view = memoryview(raw)
    if len(ways) == 1 and not _repetitive(view):
        return ways[0] if len(view) >= 8 else None
    sample = _sample(view)
    if len(sample) < 8:
        return None
    sizes = {way: len(way.encode(sample)) for way in dict.fromkeys((*ways, _MATCHING))}
    best = min(sizes, key=sizes.__getitem__)
    return best if sizes[best] < _HOPELESS * len(sample) else None


def _repetitive(view: memoryview) -> bool:
    begin = len(view) // 2
    piece = view[begin : begin + _SLICE_BYTES]
    return len(zstd_codec.encode(piece)) < _REPETITIVE * len(piece)


def _sample(view: memoryview) -> Buffer:
    """Some of the bytes, from everywhere; elements of 8 bytes stay whole."""
    if len(view) <= _SMALL:
        return view
    step = len(view) // _SLICES // 8 * 8
    middle = (step - _SLICE_BYTES) // 2 // 8 * 8
    begins = (number * step + middle for number in range(_SLICES))
    return b"".join(view[begin : begin + _SLICE_BYTES] for begin in begins)
