"""Made weights that look like real ones, in safetensors.

A decoder of 24 layers. Each tensor is normally distributed with a standard deviation of its own, as trained
weights are nearly: their bf16 exponents have some 2.7 bits of entropy and the rest of each number is noise.
The numbers depend on the seed and on the tensor's name, so two models differ exactly where they are asked to.

Only for ``apart``: numpy's memory would stay with this process.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy
from numpy.typing import NDArray

LAYERS = 24
ADDED = "adapter.weight"
"""The tensor that ``added_first`` puts before all others."""

_TYPICAL_STD = 0.03
_STD_SPREAD = 0.35
"""Of its logarithm: most tensors lie between 0.02 and 0.05."""

Dtype = Literal["BF16", "F32"]
_ITEM_BYTES: dict[Dtype, int] = {"BF16": 2, "F32": 4}


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


def make_model(
    path: Path,
    size_bytes: int,
    dtype: Dtype = "BF16",
    *,
    seed: int = 0,
    other_layer: int | None = None,
    added_first: bool = False,
) -> None:
    """Writes a model of about ``size_bytes`` (of at least 1 MB).

    Args:
        other_layer: the number of a layer that has other numbers than the same model without this.
        added_first: one more tensor comes first, so that all others lie elsewhere in the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = _decoder(size_bytes // _ITEM_BYTES[dtype])
    if added_first:
        tensors.insert(0, _Tensor(ADDED, (64, tensors[0].shape[-1])))
    with path.open("wb") as file:
        _write_header(file, tensors, dtype)
        for tensor in tensors:
            changed = other_layer is not None and tensor.name.startswith(layer_prefix(other_layer))
            for numbers in _numbers(tensor, seed + 1_000_003 * changed):
                file.write(as_bf16(numbers).data if dtype == "BF16" else numbers.data)


def make_shards(folder: Path, size_bytes: int, shards: int) -> None:
    """Writes ``shards`` models, each different, of ``size_bytes`` together."""
    for number in range(shards):
        make_model(folder / f"model-{number + 1:05d}-of-{shards:05d}.safetensors", size_bytes // shards, seed=number)


def round_to_bf16(weights: Path, path: Path) -> None:
    """Writes a model of real weights with every float rounded to bf16; other tensors are left out.

    Raises:
        ValueError: there is no float among them.
    """
    from safetensors import safe_open

    with safe_open(weights, "numpy") as source, path.open("wb") as file:
        kept = [
            _Tensor(name, tuple(source.get_slice(name).get_shape()))
            for name in source.keys()  # noqa: SIM118 - it is no mapping
            if source.get_slice(name).get_dtype() in ("F32", "F16", "F64")
        ]
        if not kept:
            raise ValueError(f"{weights} has no tensor of F16, F32 or F64")
        _write_header(file, kept, "BF16")
        for tensor in kept:
            file.write(as_bf16(source.get_tensor(tensor.name).astype("float32").ravel()).data)


def layer_prefix(layer: int) -> str:
    """How the names of a layer's tensors begin."""
    return f"model.layers.{layer}."


def as_bf16(numbers: NDArray[numpy.float32]) -> NDArray[numpy.uint16]:
    """Rounds to nearest, ties to even, as frameworks do; the numbers are finite."""
    bits = numbers.view(numpy.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(numpy.uint16)


def _decoder(numbers: int) -> list[_Tensor]:
    """The tensors of a decoder with about so many numbers: nine tenths in the layers, the rest in the embedding."""
    # Attention has 4 * width², the three matrices behind it 8 * width².
    width = max(int(math.sqrt(0.9 * numbers / LAYERS / 12)) // 16 * 16, 16)
    inner = width * 8 // 3
    layers: list[_Tensor] = []
    for layer in range(LAYERS):
        prefix = layer_prefix(layer)
        layers.append(_Tensor(f"{prefix}input_layernorm.weight", (width,)))
        layers += [_Tensor(f"{prefix}self_attn.{name}_proj.weight", (width, width)) for name in "qkvo"]
        layers.append(_Tensor(f"{prefix}post_attention_layernorm.weight", (width,)))
        layers += [_Tensor(f"{prefix}mlp.{name}_proj.weight", (inner, width)) for name in ("gate", "up")]
        layers.append(_Tensor(f"{prefix}mlp.down_proj.weight", (width, inner)))
    rest = numbers - sum(tensor.numbers for tensor in layers)
    return [_Tensor("model.embed_tokens.weight", (max(rest // width, 1), width)), *layers]


def _write_header(file: BinaryIO, tensors: Sequence[_Tensor], dtype: Dtype) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.numbers * _ITEM_BYTES[dtype]
        header[tensor.name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8, as the reference writer has it
    file.write(struct.pack("<Q", len(text)) + text)


def _numbers(tensor: _Tensor, seed: int) -> Iterator[NDArray[numpy.float32]]:
    """A tensor's numbers, some MB at a time."""
    generator = numpy.random.default_rng([seed, zlib.crc32(tensor.name.encode())])
    std = numpy.float32(generator.lognormal(math.log(_TYPICAL_STD), _STD_SPREAD))
    mean = numpy.float32(1 if "layernorm" in tensor.name else 0)
    left = tensor.numbers
    while left:
        numbers = generator.standard_normal(min(left, 1 << 21), dtype=numpy.float32)
        left -= len(numbers)
        yield numbers * std + mean
