"""Weights as training leaves them, made from a seed: what codecs and chunkers are measured against."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy
from numpy.typing import NDArray

DTYPES = tuple("bf16 f16 f32 f64 f8 i8 i16 i32 i64 u8 u16 u32 u64 bool".split())
"""All that ``Span.dtype`` may say."""


@cache
def normal(dtype: str, count: int, std: float = 0.02, seed: int = 0) -> bytes:
    """``count`` weights of one of the four floats. Those of f64 have all their digits: none was an f32 before."""
    values: NDArray[Any] = numpy.random.default_rng(seed).normal(0, std, count)
    match dtype:
        case "bf16":
            # Cut off, not rounded: it makes no difference to how they are spread.
            return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        case "f16" | "f32" | "f64":
            return values.astype(f"<f{int(dtype[1:]) // 8}").tobytes()
        case _:
            raise ValueError(dtype)


def upcast(bf16: bytes) -> bytes:
    """The same weights as f32, as a checkpoint has them that was loaded in another precision than it was trained in."""
    return (numpy.frombuffer(bf16, "<u2").astype("<u4") << 16).tobytes()


@cache
def whole(dtype: str, count: int, std: float, seed: int = 0) -> bytes:
    """``count`` integers around 0: quantized weights, counters."""
    values = numpy.random.default_rng(seed).normal(0, std, count).round()
    return values.astype(f"<{dtype[0]}{int(dtype[1:]) // 8}").tobytes()


@cache
def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that nothing makes smaller."""
    return numpy.random.default_rng(seed).bytes(size)
