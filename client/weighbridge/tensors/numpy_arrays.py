"""Tensors as numpy arrays. Imported by who makes them, since it imports numpy."""

from __future__ import annotations

import importlib
from typing import Any

import numpy
from numpy.typing import NDArray

from weighbridge.core.errors import UsageError
from weighbridge.tensors.stored import Stored

_ML_DTYPES = "ml_dtypes"


def is_of_ml_dtypes(dtype: str) -> bool:
    """Whether numpy itself lacks a dtype."""
    return dtype.startswith(("bfloat", "float8"))


class Numpy:
    """See ``Framework``."""

    def check(self, stored: Stored) -> None:
        """See ``Framework``."""
        dtype_of(stored)

    def array(self, memory: NDArray[numpy.uint8], stored: Stored) -> NDArray[Any]:
        """See ``Framework``."""
        try:
            return memory.view(dtype_of(stored)).reshape(stored.shape, order="F" if stored.fortran_order else "C")
        except (TypeError, ValueError) as fault:
            shape = list(stored.shape)
            raise UsageError(f"tensor {stored.name!r} of shape {shape} cannot be an array: {fault}") from fault

    def hand_over(self, array: NDArray[Any]) -> NDArray[Any]:
        """See ``Framework``."""
        return array


def dtype_of(stored: Stored) -> numpy.dtype[Any]:
    """The dtype of a tensor's elements. Raises UsageError."""
    try:
        dtype: numpy.dtype[Any] = numpy.dtype(_of_ml_dtypes(stored) if is_of_ml_dtypes(stored.dtype) else stored.dtype)
    except (TypeError, ValueError, OverflowError) as fault:
        raise UsageError(f"tensor {stored.name!r} is of type {stored.dtype!r}, which numpy does not know") from fault
    if dtype.hasobject:
        raise UsageError(f"tensor {stored.name!r} consists of pickled objects, which are never loaded")
    return dtype


def _of_ml_dtypes(stored: Stored) -> Any:
    try:
        module = importlib.import_module(_ML_DTYPES)
    except ImportError as fault:
        raise UsageError(
            f"tensor {stored.name!r} is of type {stored.dtype}, which numpy does not have: "
            "pip install ml_dtypes, or load with framework='torch'"
        ) from fault
    if not hasattr(module, stored.dtype):
        raise UsageError(f"tensor {stored.name!r} is of type {stored.dtype}: pip install --upgrade ml_dtypes")
    return getattr(module, stored.dtype)
