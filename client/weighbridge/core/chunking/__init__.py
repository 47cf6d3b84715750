"""Where to cut a file: the seam behind which formats are added, one file each.

A chunker sees the file through random access only and returns spans that cover it exactly, in order,
each 1 byte to 2 MiB long. The same bytes always give the same spans: a version's digest depends on them. So a format
is known by its first bytes, never by a name, and its reader accepts or refuses a file by rules that SPEC.md states;
nothing may hang on a library's version, a time limit or the memory at hand.

A format's reader finds the tensors (``tensors``), ``runs`` cuts the file along them. What a reader refuses with
``NotThisFormat`` is cut as if it had no format: every file can be stored, and none can harm whoever stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from weighbridge.core.chunking import fixed, gguf, npy, runs, safetensors, zip_entries
from weighbridge.core.chunking.random_access import RandomAccess
from weighbridge.core.chunking.span import Span
from weighbridge.core.chunking.tensors import NotThisFormat, Tensor

__all__ = ["RandomAccess", "Span", "cut"]

_Reader = Callable[[RandomAccess, int], Sequence[Tensor]]

_READERS: tuple[tuple[int, bytes, _Reader], ...] = (
    (0, gguf.MAGIC, gguf.tensors),
    (0, zip_entries.MAGIC, zip_entries.tensors),
    (0, npy.MAGIC, npy.tensors),
    (8, safetensors.MAGIC, safetensors.tensors),
)
"""Where a format's first sure sign is, the sign, and who reads the format. The first that matches decides alone."""

_HEAD_BYTES = max(offset + len(magic) for offset, magic, _ in _READERS)


def cut(source: RandomAccess, size_bytes: int) -> Iterator[Span]:
    """The spans of a file of ``size_bytes``; none for an empty file.

    Where the file has tensors it reads their table now, at most some tens of MB, and none of their bytes.

    Raises:
        Whatever ``source.read_at`` raises, and nothing else.
    """
    head = source.read_at(0, min(_HEAD_BYTES, size_bytes)) if size_bytes else b""
    for offset, magic, tensors in _READERS:
        if head.startswith(magic, offset):
            try:
                return runs.spans(tensors(source, size_bytes), size_bytes)
            except NotThisFormat:
                break
    return fixed.spans(size_bytes)
