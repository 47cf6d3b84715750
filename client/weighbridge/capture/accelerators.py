"""The accelerators of this machine, as ``nvidia-smi`` lists them."""

from __future__ import annotations

from weighbridge.capture.programs import read
from weighbridge.capture.recordable import recordable
from weighbridge.core.values import Accelerator

_LIMIT_S = 3.0
_QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
_NAME_BYTES = 128
_MIB = 1024 * 1024


def accelerators() -> tuple[Accelerator, ...]:
    """One for each device.

    Raises:
        OSError: there is no ``nvidia-smi``, it failed, or it took too long.
    """
    lines = read(_QUERY, _LIMIT_S).decode(errors="replace").splitlines()
    return tuple(device for line in lines if (device := _device(line)) is not None)


def _device(line: str) -> Accelerator | None:
    parts = [part.strip() for part in line.rsplit(",", 2)]
    if len(parts) != 3 or not parts[0]:
        return None
    name, mib, driver = parts
    known = mib.isascii() and mib.isdecimal() and len(mib) < 10
    return Accelerator(recordable(name, _NAME_BYTES), int(mib) * _MIB if known else 0, recordable(driver, _NAME_BYTES))
