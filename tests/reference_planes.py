"""``PLANES`` a second time: from protos/SPEC.md alone, one element after the other, to be compared with."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import zstandard

KINDS = [(width, floats) for width in (2, 4, 8) for floats in (0, 1)]


def take_apart(raw: bytes, width: int, floats: int) -> tuple[list[bytes], bytes]:
    """The planes, the highest first, and the rest."""
    n = len(raw) // width
    planes = [bytearray() for _ in range(width)]
    for begin in range(0, n * width, width):
        element = int.from_bytes(raw[begin : begin + width], "little")
        octets = list(element.to_bytes(width, "big"))
        if floats:
            t = element >> (8 * width - 16)
            octets[0] = (t >> 7) & 0xFF
            octets[1] = ((t >> 8) & 0x80) | (t & 0x7F)
        for plane, octet in zip(planes, octets, strict=True):
            plane.append(octet)
    return [bytes(plane) for plane in planes], raw[n * width :]


def put_together(planes: Sequence[bytes], rest: bytes, floats: int) -> bytes:
    """What was taken apart."""
    raw = bytearray()
    for octets in zip(*planes, strict=True):
        element = int.from_bytes(bytes(octets), "big")
        if floats:
            below = 8 * len(planes) - 16
            p0, p1 = octets[:2]
            t = ((p1 & 0x80) << 8) | (p0 << 7) | (p1 & 0x7F)
            element = (t << below) | (element & ((1 << below) - 1))
        raw += element.to_bytes(len(planes), "little")
    return bytes(raw) + rest


def payload_of(parts: Sequence[bytes], floats: int, rest: bytes = b"", *, width: int | None = None) -> bytes:
    """A payload of these planes, each as it is or a frame; ``width`` where it is not how many there are."""
    head = struct.pack("<BB", len(parts) if width is None else width, floats)
    return head + struct.pack(f"<{len(parts)}I", *map(len, parts)) + b"".join(parts) + rest


def frame_of(plane: bytes) -> bytes:
    """A frame that states its size."""
    return zstandard.compress(plane, 1)


def decode(payload: bytes, raw_bytes: int) -> bytes:
    """The bytes of a payload.

    Raises:
        ValueError: a receiver must refuse it.
    """
    if len(payload) < 2:
        raise ValueError("no head")
    width, floats = payload[:2]
    if width not in (2, 4, 8) or floats not in (0, 1):
        raise ValueError("another width or kind")
    n, left = divmod(raw_bytes, width)
    body = payload[2 + 4 * width :]
    if n < 1 or len(payload) < 2 + 4 * width:
        raise ValueError("no element, or no lengths")
    lengths = struct.unpack_from(f"<{width}I", payload, 2)
    if any(length > n for length in lengths) or sum(lengths) + left != len(body):
        raise ValueError("other lengths")
    planes = []
    for length in lengths:
        part, body = body[:length], body[length:]
        planes.append(part if length == n else _one_frame(part, n))
    return put_together(planes, body, floats)


def _one_frame(part: bytes, n: int) -> bytes:
    try:
        if zstandard.get_frame_parameters(part).content_size != n:
            raise ValueError("the frame states another size")
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        plane = reader.decompress(part)
    except zstandard.ZstdError as fault:
        raise ValueError(str(fault)) from fault
    if not reader.eof or reader.unused_data or len(plane) != n:
        raise ValueError("not exactly one frame")
    return plane
