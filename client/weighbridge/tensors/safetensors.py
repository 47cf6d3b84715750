"""Tensors of a safetensors file as arrays."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.chunking import safetensors as cuts
from weighbridge.core.chunking.tensors import Tensor
from weighbridge.tensors.stored import Source, Stored, Table, TensorFile, Unknown, check_size, text

_DTYPES = {
    "F64": ("<f8", 8),
    "F32": ("<f4", 4),
    "F16": ("<f2", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
    "C64": ("<c8", 8),
    "I64": ("<i8", 8),
    "I32": ("<i4", 4),
    "I16": ("<i2", 2),
    "I8": ("|i1", 1),
    "U64": ("<u8", 8),
    "U32": ("<u4", 4),
    "U16": ("<u2", 2),
    "U8": ("|u1", 1),
    "BOOL": ("|b1", 1),
}
"""What its library writes, but for elements of less than a byte."""


def open_file(source: Source) -> TensorFile:
    """The tensors of a file. Raises NotThisFormat."""
    return Table(_as_stored(cuts.table(source, source.size_bytes)))


def _as_stored(tensors: list[Tensor]) -> Iterator[Stored | Unknown]:
    for tensor in tensors:
        name = text(tensor.name)
        known = _DTYPES.get(str(tensor.kind))
        if known is None:
            yield Unknown(name, str(tensor.kind))
            continue
        dtype, item_bytes = known
        check_size(name, tensor.size, tensor.shape, item_bytes)
        yield Stored(name, tensor.offset, tensor.size, dtype, tensor.shape)
