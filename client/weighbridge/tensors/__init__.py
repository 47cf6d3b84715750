"""Which tensors a file holds and where their bytes are: the seam behind which formats are loaded, one file each.

A format is known by its first bytes. Where the tensors lie is found by the reader in ``core.chunking`` that cuts files
of the format; what is added here is what the bytes mean: names as text, dtypes and shapes, checked against how many
bytes there are. Nothing is unpickled, and no header is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable

from weighbridge.core.chunking import gguf as gguf_cuts
from weighbridge.core.chunking import npy as npy_cuts
from weighbridge.core.chunking import safetensors as safetensors_cuts
from weighbridge.core.chunking import zip_entries as zip_cuts
from weighbridge.core.chunking.tensors import NotThisFormat
from weighbridge.tensors import gguf, npy, npz, safetensors
from weighbridge.tensors.stored import Source, TensorFile

__all__ = ["HEAD_BYTES", "SUFFIXES", "open_tensors"]

SUFFIXES = (".safetensors", ".gguf", ".npz", ".npy")
"""How the names of files end that are looked into without having been asked for."""

_FORMATS: tuple[tuple[int, bytes, Callable[[Source], TensorFile]], ...] = (
    (0, gguf_cuts.MAGIC, gguf.open_file),
    (0, zip_cuts.MAGIC, npz.open_file),
    (0, npy_cuts.MAGIC, npy.open_file),
    (8, safetensors_cuts.MAGIC, safetensors.open_file),
)
"""As ``core.chunking`` tells them apart. The first that matches decides alone."""

HEAD_BYTES = max(offset + len(magic) for offset, magic, _ in _FORMATS)
"""As many of a file's first bytes tell its format."""


def open_tensors(source: Source) -> TensorFile:
    """The tensors of a file of any of the formats; reads their table, and none of their bytes.

    Raises:
        NotThisFormat: it has none of the formats, or breaks a rule of it; says which.
        Whatever reading ``source`` raises.
    """
    head = source.read_at(0, HEAD_BYTES)
    for offset, magic, open_file in _FORMATS:
        if head.startswith(magic, offset):
            return open_file(source)
    raise NotThisFormat("its first bytes are of none of the formats safetensors, GGUF, npz and npy")
