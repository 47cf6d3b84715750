"""A tensor as it lies in a file, and what a file of tensors is to whoever loads from it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from weighbridge.core.chunking.random_access import RandomAccess
from weighbridge.core.chunking.tensors import NotThisFormat
from weighbridge.core.errors import UsageError


class Source(RandomAccess, Protocol):
    """A file whose chunks come as they are read."""

    path: str
    size_bytes: int

    def expect(self, stretches: Iterable[tuple[int, int]]) -> None:
        """These stretches, from ``begin`` to ``end``, are read next: what holds them comes in one go."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor, or rows of one, whose bytes are a stretch of a file."""

    name: str
    offset: int
    size: int
    """Exactly what ``dtype`` and ``shape`` take."""
    dtype: str
    """As numpy writes it, ``<f4``; or the name of one that only ``ml_dtypes`` and PyTorch have, ``bfloat16``."""
    shape: tuple[int, ...]
    fortran_order: bool = False
    """The first dimension is the fastest."""

    def rows(self, begin: int, end: int) -> Stored:
        """Rows ``begin`` to ``end`` of the first dimension.

        Raises:
            UsageError: it has no such rows, or they do not lie together.
        """
        if not self.shape:
            raise UsageError(f"tensor {self.name!r} is a single number: it has no rows")
        if self.fortran_order and len(self.shape) > 1:
            raise UsageError(f"tensor {self.name!r} is stored column by column: its rows cannot be loaded alone")
        if not 0 <= begin <= end <= self.shape[0]:
            raise UsageError(f"tensor {self.name!r} has rows 0 to {self.shape[0]}; {begin} to {end} are not among them")
        row_bytes = self.size // self.shape[0] if self.shape[0] else 0
        return replace(
            self,
            offset=self.offset + begin * row_bytes,
            size=(end - begin) * row_bytes,
            shape=(end - begin, *self.shape[1:]),
        )


@dataclass(frozen=True, slots=True)
class Unknown:
    """A tensor whose type this release cannot load."""

    name: str
    kind: str


class TensorFile(Protocol):
    """The tensors of one file."""

    @property
    def names(self) -> Collection[str]:
        """Of all of them, as they lie in the file."""
        ...

    def locate(self, names: Collection[str]) -> Iterable[Stored]:
        """Those of these names, as they lie in the file.

        Raises:
            NotThisFormat: the file contradicts itself about one of them.
            UsageError: one of them cannot be loaded.
        """
        ...


class Table:
    """A ``TensorFile`` whose header says everything at once."""

    def __init__(self, tensors: Iterable[Stored | Unknown]) -> None:
        self._tensors = {tensor.name: tensor for tensor in tensors}

    @property
    def names(self) -> Collection[str]:
        """See ``TensorFile``."""
        return self._tensors.keys()

    def locate(self, names: Collection[str]) -> Iterator[Stored]:
        """See ``TensorFile``."""
        for tensor in self._tensors.values():
            if tensor.name in names:
                if isinstance(tensor, Unknown):
                    raise UsageError(f"tensor {tensor.name!r} is of type {tensor.kind!r}, which cannot be loaded")
                yield tensor


def check_size(name: str, size: int, shape: tuple[int, ...], item_bytes: int) -> None:
    """Raises NotThisFormat where a tensor's bytes are not what its shape takes."""
    if size != math.prod(shape) * item_bytes:
        raise NotThisFormat(f"tensor {name!r} has {size} bytes, which is not what its shape {list(shape)} takes")


def text(name: bytes) -> str:
    """A name, which must be UTF-8; raises NotThisFormat."""
    try:
        return name.decode()
    except UnicodeDecodeError as fault:
        raise NotThisFormat("the name of a tensor is not UTF-8") from fault
