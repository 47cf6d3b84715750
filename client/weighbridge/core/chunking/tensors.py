"""What a format tells whoever cuts or loads a file: which stretches of it are tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

TENSORS_MOST = 100_000
"""Most tensors, or entries of an archive, in a file that is cut by them: some tens of MB while it is cut. It also
keeps a file of very many tiny ones from becoming as many tiny chunks."""


class NotThisFormat(ValueError):
    """The file only looked like the format, or breaks a rule of it: it gets fixed cuts, and cannot be loaded."""


class Tensor(NamedTuple):
    """A tensor, or what is cut like one, and the bytes of the file that hold it."""

    name: bytes
    """UTF-8 where the format says so; otherwise as the file has it."""
    offset: int
    size: int
    dtype: str | None = None
    """See ``Span``."""
    kind: str | int = ""
    """The elements' type as the file states it: what ``dtype`` cannot tell apart, whoever loads them has to."""
    shape: tuple[int, ...] = ()
    """The dimensions as the file states them, unchecked."""


def in_order(tensors: Iterable[Tensor], size_bytes: int) -> list[Tensor]:
    """The tensors that have bytes, as they lie in a file of ``size_bytes``; checked as by ``checked``."""
    return [tensor for tensor in checked(tensors, size_bytes) if tensor.size]


def checked(tensors: Iterable[Tensor], size_bytes: int) -> list[Tensor]:
    """All tensors, those without bytes too, in the order of their offsets in a file of ``size_bytes``.

    Cuts and loads rely on what is checked here, whatever a format's reader overlooked. One without bytes may say
    that it lies anywhere.

    Raises:
        NotThisFormat: two have one name, two overlap, there are too many, or one lies outside the file.
    """
    names: set[bytes] = set()
    found: list[Tensor] = []
    for tensor in tensors:
        if tensor.name in names:
            raise NotThisFormat("two tensors have one name")
        names.add(tensor.name)
        if len(names) > TENSORS_MOST:
            raise NotThisFormat("there are too many tensors")
        found.append(tensor)
    found.sort(key=lambda tensor: tensor.offset)
    position = 0
    for tensor in found:
        if not tensor.size:
            continue
        if tensor.offset < position or tensor.size < 0:
            raise NotThisFormat("two tensors overlap")
        position = tensor.offset + tensor.size
    if position > size_bytes:
        raise NotThisFormat("a tensor lies outside the file")
    return found
