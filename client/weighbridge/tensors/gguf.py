"""Tensors of a GGUF file as arrays: plain ones of their dtype, quantized ones as the bytes of their blocks.

Source: ``ggml.h`` and ``ggml-common.h`` of https://github.com/ggml-org/ggml; the shapes are those of its Python
package ``gguf``: slowest dimension first, and of a quantized tensor the bytes of a row in the place of its elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from weighbridge.core.chunking import gguf as cuts
from weighbridge.core.chunking.tensors import NotThisFormat, Tensor
from weighbridge.tensors.stored import Source, Stored, Table, TensorFile, text

_PLAIN = {
    0: ("<f4", 4),
    1: ("<f2", 2),
    24: ("|i1", 1),
    25: ("<i2", 2),
    26: ("<i4", 4),
    27: ("<i8", 8),
    28: ("<f8", 8),
    30: ("bfloat16", 2),
}

_BLOCKS = {
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    15: (256, 292),  # Q8_K
    16: (256, 66),  # IQ2_XXS
    17: (256, 74),  # IQ2_XS
    18: (256, 98),  # IQ3_XXS
    19: (256, 50),  # IQ1_S
    20: (32, 18),  # IQ4_NL
    21: (256, 110),  # IQ3_S
    22: (256, 82),  # IQ2_S
    23: (256, 136),  # IQ4_XS
    29: (256, 56),  # IQ1_M
    34: (256, 54),  # TQ1_0
    35: (256, 66),  # TQ2_0
    39: (32, 17),  # MXFP4
    40: (64, 36),  # NVFP4
    41: (128, 18),  # Q1_0
}
"""Quantized types: elements and bytes of a block. Rows consist of whole blocks."""


def open_file(source: Source) -> TensorFile:
    """The tensors of a file. Raises NotThisFormat."""
    return Table(_as_stored(cuts.tensors(source, source.size_bytes)))


def _as_stored(tensors: list[Tensor]) -> Iterator[Stored]:
    for tensor in tensors:
        name, kind = text(tensor.name), int(tensor.kind)
        shape = tensor.shape[::-1]
        if kind in _PLAIN:
            dtype, item_bytes = _PLAIN[kind]
        elif kind in _BLOCKS:
            elements, block_bytes = _BLOCKS[kind]
            dtype, item_bytes = "|u1", 1
            if not shape or shape[-1] % elements:
                raise NotThisFormat(f"tensor {name!r} has rows that are not of whole blocks")
            shape = (*shape[:-1], shape[-1] // elements * block_bytes)
        else:  # of a later release: as far as it can reach
            dtype, item_bytes, shape = "|u1", 1, (tensor.size,)
        size = math.prod(shape) * item_bytes
        if size > tensor.size:  # what is left over is padding
            raise NotThisFormat(f"tensor {name!r} takes {size} bytes and has {tensor.size}")
        yield Stored(name, tensor.offset, size, dtype, shape)
