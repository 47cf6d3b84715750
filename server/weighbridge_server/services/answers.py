"""Answers that might be too large for a message."""

from __future__ import annotations

from weighbridge.core.errors import LimitExceeded
from weighbridge.core.limits import MESSAGE_BYTES
from weighbridge.v1 import versions_pb2


def within_a_message(comparison: versions_pb2.Comparison) -> versions_pb2.Comparison:
    """Returns the comparison when a client takes it; a larger one would fail there, in words of gRPC.

    Raises:
        LimitExceeded: it is larger than a message may be.
    """
    size_bytes = comparison.ByteSize()
    if size_bytes > MESSAGE_BYTES:
        raise LimitExceeded(
            f"how these {len(comparison.versions)} versions differ takes {size_bytes} bytes, and a message has at most "
            f"{MESSAGE_BYTES}; compare fewer at once",
            details={"limit": str(MESSAGE_BYTES), "actual": str(size_bytes)},
        )
    return comparison
