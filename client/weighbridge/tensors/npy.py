"""Arrays as ``numpy.save`` writes them, in a file of their own or in an archive."""

from __future__ import annotations

import re

from weighbridge.core.chunking import npy as cuts
from weighbridge.core.errors import UsageError
from weighbridge.tensors.stored import Source, Stored, Table, TensorFile, check_size

SUFFIX = ".npy"

_DESCR = re.compile(r"[<>|]([biufcmMSUV])([0-9]{1,9})(?:\[[0-9]*[A-Za-z]+\])?")
_CHARACTER_BYTES = 4


def open_file(source: Source) -> TensorFile:
    """The one array of a file, named after it. Raises NotThisFormat; UsageError where it cannot be loaded."""
    return Table([array(source, source.path.removesuffix(SUFFIX), 0, source.size_bytes)])


def array(source: Source, name: str, offset: int, size: int) -> Stored:
    """The array whose file is the ``size`` bytes from ``offset``.

    Raises:
        NotThisFormat: there is none.
        UsageError: its elements are pickled objects.
    """
    header = cuts.read_header(source, offset, size)
    if header.descr.endswith("O"):
        raise UsageError(f"array {name!r} consists of pickled objects, which are never loaded")
    match = _DESCR.fullmatch(header.descr)
    if match is None:
        raise UsageError(f"array {name!r} is of type {header.descr!r}, which cannot be loaded")
    item_bytes = int(match[2]) * (_CHARACTER_BYTES if match[1] == "U" else 1)
    check_size(name, header.size, header.shape, item_bytes)
    return Stored(name, header.offset, header.size, header.descr, header.shape, header.fortran_order)
