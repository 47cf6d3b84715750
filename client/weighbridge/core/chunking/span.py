"""A stretch of a file that becomes one chunk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """``size`` bytes from ``offset``."""

    offset: int
    size: int
    dtype: str | None = None
    """What the stretch holds from its first byte to its last, little-endian: ``bf16``, ``f16``, ``f32``, ``f64``,
    ``f8`` (8 *bits*, of any kind), ``i8`` to ``i64``, ``u8`` to ``u64``, ``bool``; None when that is unknown or
    mixed. A hint for whoever encodes it: what a file says of itself need not be true."""
