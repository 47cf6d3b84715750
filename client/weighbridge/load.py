"""Tensors straight from the stream: manifest, headers, the chunks that hold what is wanted, arrays.

No file is written. A header is believed only as far as it agrees with itself and with the length of its file; every
byte of an array, and of a header, came in a chunk that was verified first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from weighbridge.cache import ChunkCache
from weighbridge.core.chunking.tensors import NotThisFormat
from weighbridge.core.errors import UsageError, Violation
from weighbridge.core.manifest import FileManifest
from weighbridge.fetch import Manifest, fetch_manifest
from weighbridge.nearest import NearestChunks
from weighbridge.peek import KEPT_BYTES, PeekedChunks, VersionFile, Wanted
from weighbridge.places import Places
from weighbridge.progress import Progress
from weighbridge.selection import Selection, named
from weighbridge.tensors import HEAD_BYTES, SUFFIXES, open_tensors
from weighbridge.tensors.choice import Choice
from weighbridge.tensors.frameworks import Framework
from weighbridge.tensors.stored import Stored, TensorFile
from weighbridge.wire.connection import Connection

_CLASHES_NAMED = 20

Result = TypeVar("Result")


def load_tensors(
    connection: Connection,
    ref: str,
    selection: Selection,
    choice: Choice,
    framework: Framework,
    cache: ChunkCache,
    progress: Progress,
) -> dict[str, Any]:
    """The chosen tensors of the selected files, as arrays of a framework.

    Raises:
        DataLoss: bytes are not what was pushed; names the file and the chunk.
        UsageError: there is nothing to load, or something of it cannot be loaded.
        InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound, Unavailable.
    """
    whole = connection.patience().run(lambda: fetch_manifest(connection, ref))
    manifest = replace(whole, files=_loadable(whole, selection))
    loading = _Loading(connection, manifest, cache, progress)
    tables = loading.read_tables()
    chosen = choice.of(manifest.ref, _names(manifest.ref, tables))
    parts = [loading.locate(table, chosen, choice, framework) for table in tables]
    return loading.bring_arrays(parts, framework)


@dataclass(frozen=True, slots=True)
class _Table:
    """A file, and what it says of its tensors."""

    file: VersionFile
    tensors: TensorFile


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is wanted of a file, in the order in which it lies there."""

    file: VersionFile
    tensors: Sequence[Stored]

    def chunks(self) -> Iterable[Wanted]:
        """The chunks that hold any of it, each once."""
        done = 0
        for part in self.tensors:
            for digest, place in self.file.chunks(max(part.offset, done), part.offset + part.size):
                yield digest, place
                done = place.offset + place.raw_bytes


class _Loading:
    """What comes from the server, or from the cache, for one load."""

    def __init__(self, connection: Connection, manifest: Manifest, cache: ChunkCache, progress: Progress) -> None:
        self._manifest = manifest
        self._chunks = NearestChunks(connection, manifest, cache, progress)
        self._peeked = PeekedChunks(self._chunks.bring)

    def read_tables(self) -> list[_Table]:
        """Reads what every file says of its tensors."""
        files = [VersionFile(index, file, self._peeked) for index, file in enumerate(self._manifest.files)]
        return [
            _Table(file, self._of_file(file, partial(open_tensors, file)))
            for group in _groups(files)
            for file in self._with_heads(group)
        ]

    def _with_heads(self, group: Sequence[VersionFile]) -> Sequence[VersionFile]:
        """The same files, once their first chunks are here: one question for many small headers."""
        self._peeked.have(head for file in group for head in file.chunks(0, HEAD_BYTES))
        return group

    def locate(self, table: _Table, chosen: set[str], choice: Choice, framework: Framework) -> _Parts:
        """Where the chosen tensors of a file lie, or the wanted rows of them; the framework can have them all."""

        def parts() -> list[Stored]:
            found = [choice.part(stored) for stored in table.tensors.locate(chosen)]
            for part in found:
                framework.check(part)
            return found

        return _Parts(table.file, self._of_file(table.file, parts))

    def bring_arrays(self, wanted: Sequence[_Parts], framework: Framework) -> dict[str, Any]:
        """Brings what is wanted into memory, and makes arrays of that."""
        from weighbridge.tensors.memory import TensorMemory

        memory = TensorMemory()
        arrays: dict[str, Any] = {}
        places = Places()
        for parts in wanted:
            rooms = memory.add(parts.file.index, parts.tensors)
            for room, part in zip(rooms, parts.tensors, strict=True):
                arrays[part.name] = self._of_file(parts.file, partial(framework.array, room, part))
            for digest, place in parts.chunks():
                places.add(digest, place)
        self._chunks.bring(places, memory, self._peeked)
        self._peeked.clear()
        memory.clear()
        # One after the other: what is copied to a device then does not stay here.
        return {name: framework.hand_over(arrays.pop(name)) for name in list(arrays)}

    def _of_file(self, file: VersionFile, read: Callable[[], Result]) -> Result:
        """What ``read`` makes of a file; what is wrong with it is said with its name."""
        try:
            return read()
        except (NotThisFormat, UsageError) as fault:
            raise UsageError(
                f"{self._manifest.ref}: file {file.path!r} cannot be loaded: {fault}", details={"path": file.path}
            ) from fault


def _groups(files: Iterable[VersionFile]) -> Iterable[list[VersionFile]]:
    """Files whose first chunks are kept together."""
    group: list[VersionFile] = []
    heads_bytes = 0
    for file in files:
        head_bytes = sum(place.raw_bytes for _, place in file.chunks(0, HEAD_BYTES))
        if group and heads_bytes + head_bytes > KEPT_BYTES:
            yield group
            group, heads_bytes = [], 0
        group.append(file)
        heads_bytes += head_bytes
    yield group


def _loadable(manifest: Manifest, selection: Selection) -> list[FileManifest]:
    """The selected files that say by their names that they can be loaded, or else those that patterns ask for."""
    selected = selection.of(manifest.ref, manifest.files)
    found = [file for file in selected if file.path.endswith(SUFFIXES)]
    if not found and selection.include:
        return selected
    if not found:
        has = f"it has {named(selected)}" if selected else "it is empty"
        raise UsageError(f"{manifest.ref} has no file that can be loaded ({', '.join(SUFFIXES)}); {has}")
    return found


def _names(ref: str, tables: Iterable[_Table]) -> dict[str, str]:
    """Every tensor's name, and the file that it is in; raises UsageError where that is not one file."""
    found: dict[str, str] = {}
    clashes: dict[str, str] = {}
    for table in tables:
        for name in table.tensors.names:
            if found.setdefault(name, table.file.path) != table.file.path:
                clashes.setdefault(name, f"is in {found[name]!r} and in {table.file.path!r}")
    if clashes:
        first = [Violation(name, what) for name, what in list(clashes.items())[:_CLASHES_NAMED]]
        listed = ", ".join(repr(violation.path) for violation in first)
        more = f" and {len(clashes) - len(first)} more" if len(clashes) > len(first) else ""
        raise UsageError(
            f"{ref} has tensors in more than one file: {listed}{more}; leave files out with exclude=", violations=first
        )
    return found
