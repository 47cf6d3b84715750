"""What loaded tensors are to the caller: the seam behind which frameworks are added, one file each.

Neither is imported before it is asked for: numpy takes a while, PyTorch need not be installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from weighbridge.core.errors import UsageError
from weighbridge.tensors.stored import Stored

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray


class Framework(Protocol):
    """Makes arrays of memory that the caller owns from then on."""

    def check(self, stored: Stored) -> None:
        """Raises UsageError where it has no such tensors, before anything of them is fetched."""
        ...

    def array(self, memory: NDArray[uint8], stored: Stored) -> Any:
        """The tensor whose bytes come to be in ``memory``. Raises UsageError where it has none of such a shape."""
        ...

    def hand_over(self, array: Any) -> Any:
        """The same tensor where the caller wants it, once its bytes are there."""
        ...


def framework_of(name: str, device: Any) -> Framework:
    """The framework of this name.

    Raises:
        UsageError: there is none, it is not installed, or it has no such device.
    """
    if name == "numpy":
        if device is not None:
            raise UsageError("device= is PyTorch's: use it with framework='torch'")
        from weighbridge.tensors.numpy_arrays import Numpy

        return Numpy()
    if name == "torch":
        from weighbridge.tensors.torch_tensors import Torch

        return Torch(device)
    raise UsageError(f"framework is 'numpy' or 'torch', not {name!r}")
