"""Files of tensors as the tests of loading make them, and what is asked of what was loaded."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from test_chunking_formats import VOCABULARY, noise, text_of
from weighbridge.core.limits import CHUNK_BYTES

Array = NDArray[Any]
Push = Callable[[Mapping[str, bytes]], str]

HEADERS_BYTES = 64 * 1024
"""More than all headers of these tests' files take."""


class Meter:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.total = self.done = self.received = 0
        self._lock = threading.Lock()

    def begin(self, files_total: int, bytes_total: int) -> None:
        """See ``Progress``."""
        self.total += bytes_total

    def advance(self, raw_bytes: int, moved_bytes: int) -> None:
        """See ``Progress``."""
        with self._lock:
            self.done += raw_bytes
            self.received += moved_bytes


def same(loaded: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """The same arrays, in the same order of names."""
    assert list(loaded) == list(expected)
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype, name
        assert loaded[name].shape == array.shape, name
        assert loaded[name].tobytes() == array.tobytes(), name


def safetensors_file(*tensors: tuple[str, str, Sequence[int], bytes]) -> bytes:
    """A file of tensors (name, dtype, shape, bytes) in this order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def gguf_file(*tensors: tuple[str | bytes, int, Sequence[int], bytes], alignment: int = 32) -> bytes:
    """A file of tensors (name, type, dimensions with the fastest first, bytes)."""
    table, data = b"", bytearray()
    for name, kind, dimensions, raw in tensors:
        name = name if isinstance(name, bytes) else name.encode()
        table += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(dimensions))
        table += struct.pack(f"<{len(dimensions)}QIQ", *dimensions, kind, len(data))
        data += raw + bytes(-len(raw) % alignment)
    metadata = [*VOCABULARY, ("general.alignment", struct.pack("<II", 4, alignment))]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text_of(key) + value for key, value in metadata) + table
    return head + bytes(-len(head) % alignment) + data


def npy_file(header: str, data: bytes, version: int = 1) -> bytes:
    """An array's file with a header of one's own."""
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(header))
        + (header.encode() + data)
    )


def layers(count: int, size: int) -> dict[str, Array]:
    """Weights that nothing makes smaller, each of ``size`` bytes."""
    return {
        f"layers.{number:02}.weight": numpy.frombuffer(noise(size, number), "<i2").reshape(-1, 512)
        for number in range(count)
    }


NATIVE: dict[str, Array] = {
    "bool": numpy.array([True, False, True]),
    **{
        kind: numpy.arange(24).reshape(2, 3, 4).astype(kind)
        for kind in "i1 <i2 <i4 <i8 u1 <u2 <u4 <u8 <f2 <f4 <f8 <c8".split()
    },
    "scalar": numpy.array(7.5, "<f8"),
    "empty": numpy.zeros(0, "<f4"),
    "no rows": numpy.zeros((0, 3), "<i8"),
    "long": numpy.frombuffer(noise(2 * CHUNK_BYTES + 4096, 3), "<f4").reshape(-1, 32),
    "größe.模型": numpy.ones((1, 1, 1, 1, 5), "<f2"),
}
