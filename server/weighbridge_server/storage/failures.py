"""What a failed write means to the client whose bytes it was."""

from __future__ import annotations

import errno

from weighbridge.core.errors import StorageFailed, StorageFull, WeighbridgeError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_failure(what: str, fault: BaseException) -> WeighbridgeError:
    """``StorageFull`` when there is no space, else ``StorageFailed``; ``what`` begins the message."""
    if isinstance(fault, OSError):
        reason = fault.strerror or str(fault)
    else:  # a database's words are for the log
        reason = fault.message if isinstance(fault, WeighbridgeError) else "its log has the cause"
    if isinstance(fault, OSError) and fault.errno in _FULL:
        return StorageFull(f"{what}: {reason}. What was acknowledged is safe; make room there and push again")
    return StorageFailed(f"{what}: {reason}. Send again what was not acknowledged")
