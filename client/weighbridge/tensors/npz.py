"""Arrays of an ``.npz`` archive that are stored as they are; ``numpy.savez`` writes those, one an entry."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from weighbridge.core.chunking import zip_entries as cuts
from weighbridge.core.chunking.tensors import NotThisFormat
from weighbridge.core.errors import UsageError
from weighbridge.tensors import npy
from weighbridge.tensors.stored import Source, Stored, TensorFile, text


def open_file(source: Source) -> TensorFile:
    """The arrays of an archive. Raises NotThisFormat; UsageError where it has none."""
    directory = cuts.read_directory(source, source.size_bytes)
    arrays: dict[str, cuts.Entry] = {}
    for entry in directory.entries:
        name = text(entry.name)
        if name.endswith(npy.SUFFIX):
            if arrays.setdefault(name.removesuffix(npy.SUFFIX), entry) is not entry:
                raise NotThisFormat("two entries have one name")
        elif name.endswith("/data.pkl"):
            raise UsageError("it is a pickled PyTorch checkpoint, which is never loaded; save it as safetensors")
    if directory.entries and not arrays:
        raise UsageError("it is an archive without an array")
    return _Archive(source, arrays, directory.begin)


class _Archive:
    """A ``TensorFile`` whose entries are looked at when they are located: each has a header of its own."""

    def __init__(self, source: Source, arrays: dict[str, cuts.Entry], directory: int) -> None:
        self._source = source
        self._arrays = arrays
        self._directory = directory

    @property
    def names(self) -> Collection[str]:
        """See ``TensorFile``."""
        return self._arrays.keys()

    def locate(self, names: Collection[str]) -> Iterator[Stored]:
        """See ``TensorFile``."""
        wanted = {entry: name for name, entry in self._arrays.items() if name in names}
        for entry, name in wanted.items():
            if not entry.stored:
                raise UsageError(f"array {name!r} is compressed and cannot be loaded in place; write it by numpy.savez")
        self._source.expect((entry.header, entry.header + cuts.HEADER_BYTES) for entry in wanted)
        for entry, begin in cuts.locate(self._source, wanted, self._directory):
            yield npy.array(self._source, wanted[entry], begin, entry.size)
