"""Values as they are recorded: what numpy and PyTorch wrap is taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.values import Scalar, TensorSpec


def plain(values: Mapping[str, Any] | None) -> dict[str, Scalar]:
    """Values of parameters or tags; an array of one number, such as ``numpy.float32(0.1)``, is that number.

    Raises:
        UsageError: it is no mapping.
    """
    if values is not None and not isinstance(values, Mapping):  # callers without a type checker
        raise UsageError(
            f"parameters and tags are mappings of names to values, such as {{'lr': 0.1}}; this is a "
            f"{type(values).__name__}"
        )
    return {name: plain_number(value) for name, value in (values or {}).items()}


def plain_specs(side: str, specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Tensors with the lengths of their shapes as ``plain_number``. What is none is left for the check of the record.

    Raises:
        UsageError: it is no list; ``side`` names it.
    """
    if not isinstance(specs, Sequence) or isinstance(specs, str):  # callers without a type checker
        raise UsageError(f"{side} is a list, such as [wb.TensorSpec('x', 'float32', (-1, 64))]")
    return tuple(
        replace(spec, shape=tuple(map(plain_number, spec.shape)))
        if isinstance(spec, TensorSpec) and isinstance(spec.shape, Iterable)
        else spec
        for spec in specs
    )


def plain_number(value: Any) -> Any:
    """A value, or the one that an array holds that has no dimensions."""
    if isinstance(value, str | bool | int | float) and type(value).__module__ == "builtins":
        return value
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value
