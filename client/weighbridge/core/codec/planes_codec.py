"""``PLANES``: the byte planes of a chunk, each as it is or as a zstd frame of its own, whichever is smaller.

    u8 width | u8 floats | u32 length of each plane | the planes, the highest first | what is left of the chunk

``protos/SPEC.md`` has the layout. A plane as long as there are elements is as it is; a shorter one is a frame.
numpy is loaded with the first chunk that needs it, not with the SDK.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from weighbridge.core.chunks import Buffer
from weighbridge.core.codec import zstd_codec

if TYPE_CHECKING:
    from weighbridge.core.codec.planes import Bytes

_HEAD = struct.Struct("<BB")
_LENGTH_BYTES = 4
_WIDTHS = (2, 4, 8)

_PROBE_BYTES = 2048
_PROBES = 2
_HOPELESS = 0.985
"""A plane whose probes do not get below this share is kept as it is, without having been compressed: mantissas."""


def encode(raw: Buffer, width: int, *, floats: bool) -> bytes:
    """The payload for elements of ``width`` bytes (2, 4 or 8); ``raw`` has at least one.

    ``floats``: they have a sign bit and an exponent, which are taken apart.
    """
    from weighbridge.core.codec import planes

    left = len(raw) % width
    view = memoryview(raw)
    whole, rest = view[: len(raw) - left], view[len(raw) - left :]
    compress = zstd_codec.encode_entropy if floats else zstd_codec.encode
    with planes.split(whole, width, floats=floats) as split:
        parts = [_shorter(plane, compress) for plane in split]
        lengths = struct.pack(f"<{width}I", *map(len, parts))
        return b"".join((_HEAD.pack(width, floats), lengths, *parts, rest))


def decode(payload: Buffer, raw_bytes: int) -> Buffer:
    """The raw bytes of a payload; allocates three times ``raw_bytes`` at most, whatever the payload claims.

    Raises:
        ValueError: the payload is not of this form.
    """
    from weighbridge.core.codec import planes

    view = memoryview(payload)
    if len(view) < _HEAD.size:
        raise ValueError("the payload ends in its head")
    width, floats = _HEAD.unpack_from(view)
    if width not in _WIDTHS or floats not in (0, 1):
        raise ValueError(f"there are no planes of width {width} and kind {floats}")
    at = _HEAD.size + width * _LENGTH_BYTES
    count, left = divmod(raw_bytes, width)
    if len(view) < at or not count:
        raise ValueError("the payload ends in its head, or the chunk has no whole element")
    lengths = struct.unpack_from(f"<{width}I", view, _HEAD.size)
    if max(lengths) > count or at + sum(lengths) + left != len(view):
        raise ValueError("the planes' lengths are not those of the payload")
    parts: list[Buffer] = []
    for length in lengths:
        part = view[at : at + length]
        parts.append(part if length == count else zstd_codec.decode(part, count))
        at += length
    joined = planes.join(parts, width, floats=bool(floats))
    return b"".join((joined, view[at:])) if left else joined


def _shorter(plane: Bytes, compress: Callable[[Buffer], bytes]) -> Buffer:
    """The plane, or its frame where that is shorter."""
    view = plane.data
    if _hopeless(view, compress):
        return view
    frame = compress(view)
    return frame if len(frame) < len(view) else view


def _hopeless(plane: memoryview, compress: Callable[[Buffer], bytes]) -> bool:
    if len(plane) < 4 * _PROBES * _PROBE_BYTES:
        return False
    step = len(plane) // (_PROBES + 1)
    return all(
        len(compress(plane[step * number : step * number + _PROBE_BYTES])) > _HOPELESS * _PROBE_BYTES
        for number in range(1, _PROBES + 1)
    )
