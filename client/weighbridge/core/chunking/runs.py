"""From tensors to spans: large tensors are cut from their own start, small ones are joined to runs.

The aim is that a change stays where it is. A tensor's chunks do not depend on what lies before it; a run ends where
the *name* of a tensor says so, a quarter of all names, so that a tensor that comes or goes moves the cuts up to the
next such name and no further. (The idea is that of content-defined chunking, with names in the place of bytes: see
Muthitacharoen, Chen and Mazieres, "A Low-bandwidth Network File System", SOSP 2001.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blake3 import blake3

from weighbridge.core.chunking import fixed
from weighbridge.core.chunking.span import Span
from weighbridge.core.chunking.tensors import Tensor
from weighbridge.core.limits import CHUNK_BYTES

_NAMES_A_RUN = 4
"""Small tensors in a run, on average."""


def spans(tensors: Sequence[Tensor], size_bytes: int) -> Iterator[Span]:
    """The spans of a file of ``size_bytes`` that holds these tensors, which come from ``in_order``.

    - What lies before the first tensor is cut every 2 MiB; so is what lies after the last.
    - A tensor longer than 2 MiB is cut every 2 MiB from its own start; its last span holds nothing else.
    - Other tensors are joined to a run while it does not grow beyond 2 MiB. It ends at a longer tensor, and after a
      tensor whose name says so.
    - What lies between two tensors, as archives have it, belongs to the one behind it: it is in its run, where that
      is no longer than 2 MiB with it. Before a longer tensor it is cut off on its own, every 2 MiB.
    """
    start = end = 0  # the run under way; all before it is cut
    dtype: str | None = None
    for number, tensor in enumerate(tensors):
        tensor_end = tensor.offset + tensor.size
        if tensor_end - start > CHUNK_BYTES and end > start:
            yield Span(start, end - start, dtype)
            start = end
        if tensor_end - start > CHUNK_BYTES or number == 0:
            yield from fixed.stretch(start, tensor.offset)
            start = end = tensor.offset
        if tensor.size > CHUNK_BYTES:
            yield from fixed.stretch(start, tensor_end, tensor.dtype)
            start = end = tensor_end
            continue
        # A codec wants elements from the first byte on: what lies between tensors is none, and shifts the others.
        alike = tensor.offset == end and (end == start or dtype == tensor.dtype)
        dtype = tensor.dtype if alike else None
        end = tensor_end
        if _ends_run(tensor.name):
            yield Span(start, end - start, dtype)
            start = end
    if end > start:
        yield Span(start, end - start, dtype)
    yield from fixed.stretch(end, size_bytes)


def _ends_run(name: bytes) -> bool:
    return int.from_bytes(blake3(name).digest(length=4), "little") % _NAMES_A_RUN == 0
