"""Values as they are recorded: what numpy and PyTorch wrap is taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weighbridge.core.values import Scalar


def plain(values: Mapping[str, Any] | None) -> dict[str, Scalar]:
    """Values of parameters or tags; an array of one number, such as ``numpy.float32(0.1)``, is that number."""
    return {name: _plain(value) for name, value in (values or {}).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool | int | float) and type(value).__module__ == "builtins":
        return value
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value
