"""Tensors as PyTorch's, over memory that was allocated here: nothing is copied unless it goes to a device."""

from __future__ import annotations

import importlib
from typing import Any

import numpy
from numpy.typing import NDArray

from weighbridge.core.errors import UsageError
from weighbridge.tensors.numpy_arrays import dtype_of, is_of_ml_dtypes
from weighbridge.tensors.stored import Stored


class Torch:
    """See ``Framework``."""

    def __init__(self, device: Any) -> None:
        """``device``: a ``torch.device``, or what it is made of.

        Raises:
            UsageError: PyTorch is not installed, or cannot use the device.
        """
        try:
            self._torch: Any = importlib.import_module("torch")
        except ImportError as fault:
            raise UsageError("framework='torch' needs PyTorch: pip install torch") from fault
        self._device = device
        if device is not None:
            try:
                self._torch.empty(1, device=device)
            except Exception as fault:  # each kind of device has errors of its own
                raise UsageError(f"PyTorch cannot use the device {device!r}: {fault}") from fault

    def check(self, stored: Stored) -> None:
        """See ``Framework``."""
        self._dtype(stored)

    def array(self, memory: NDArray[numpy.uint8], stored: Stored) -> Any:
        """See ``Framework``."""
        try:
            return self._shaped(memory, stored)
        except (RuntimeError, ValueError, OverflowError) as fault:
            shape = list(stored.shape)
            raise UsageError(f"tensor {stored.name!r} of shape {shape} cannot be PyTorch's: {fault}") from fault

    def hand_over(self, array: Any) -> Any:
        """See ``Framework``."""
        return array if self._device is None else array.to(self._device)

    def _shaped(self, memory: NDArray[numpy.uint8], stored: Stored) -> Any:
        dtype = self._dtype(stored)
        if not stored.size:
            return self._torch.empty(stored.shape, dtype=dtype)
        flat = self._torch.frombuffer(memory, dtype=dtype)
        if not stored.fortran_order:
            return flat.reshape(stored.shape)
        return flat.reshape(stored.shape[::-1]).permute(*reversed(range(len(stored.shape))))

    def _dtype(self, stored: Stored) -> Any:
        name = stored.dtype
        if not is_of_ml_dtypes(name):
            dtype = dtype_of(stored)
            name = dtype.name if dtype.isnative else ""
        found = getattr(self._torch, name, None)
        if not isinstance(found, self._torch.dtype):
            raise UsageError(f"tensor {stored.name!r} is of type {stored.dtype!r}, which PyTorch does not have")
        return found
