"""Tensors straight from the stream: manifest, headers, the chunks that hold what is wanted, arrays.

No file is written. A header is believed only as far as it agrees with itself and with the length of its file; every
byte of an array, and of a header, came in a chunk that was verified first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
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
from weighbridge.tensors.shard_index import LARGEST_BYTES, SUFFIX, weight_map
from weighbridge.tensors.stored import Stored, TensorFile
from weighbridge.wire.connection import Connection

_NAMED = 20

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
    files = _loadable(whole, selection)
    loading = _Loading(connection, replace(whole, files=[*files, *_indexes(whole, selection)]), cache, progress)
    indexed = loading.read_indexes(len(files))
    tables = loading.read_tables(len(files))
    held = _names(whole.ref, tables, indexed)
    absent = _absent(indexed, held, whole, files)
    chosen = choice.of(whole.ref, [*held, *absent])
    _require(whole.ref, {name: absent[name] for name in absent if name in chosen})
    parts = [
        loading.locate(table, {name for name in chosen if held[name] == table.file.path}, choice, framework)
        for table in tables
    ]
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
        self._files = [VersionFile(number, file, self._peeked) for number, file in enumerate(manifest.files)]

    def read_indexes(self, first: int) -> dict[str, str]:
        """Reads the indexes, which are the files from number ``first`` on: the file of each tensor."""
        found: dict[str, str] = {}
        for file in self._files[first:]:
            content = file.read_at(0, file.size_bytes)
            found |= self._of_file(file, partial(weight_map, file.path, content))
        return found

    def read_tables(self, files: int) -> list[_Table]:
        """Reads what each of the first ``files`` says of its tensors."""
        return [
            _Table(file, self._of_file(file, partial(open_tensors, file)))
            for group in _groups(self._files[:files])
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


def _indexes(manifest: Manifest, selection: Selection) -> list[FileManifest]:
    """What says where tensors are; patterns that ask for some files only are not asked for it."""
    everything = replace(selection, include=())
    return [
        file
        for file in everything.of(manifest.ref, manifest.files)
        if file.path.endswith(SUFFIX) and file.size_bytes <= LARGEST_BYTES
    ]


def _names(ref: str, tables: Iterable[_Table], indexed: Mapping[str, str]) -> dict[str, str]:
    """Every tensor's name, and the file that it is in; raises UsageError where that is not one file."""
    found: dict[str, str] = {}
    clashes: dict[str, str] = {}
    for table in tables:
        for name in table.tensors.names:
            if indexed.get(name) == table.file.path:
                found[name] = table.file.path
            elif found.setdefault(name, table.file.path) not in (table.file.path, indexed.get(name)):
                clashes.setdefault(name, f"is in {found[name]!r} and in {table.file.path!r}")
    if clashes:
        first = [Violation(name, what) for name, what in list(clashes.items())[:_NAMED]]
        listed = ", ".join(repr(violation.path) for violation in first)
        more = f" and {len(clashes) - len(first)} more" if len(clashes) > len(first) else ""
        raise UsageError(
            f"{ref} has tensors in more than one file: {listed}{more}; leave files out with exclude=", violations=first
        )
    return found


def _absent(
    indexed: Mapping[str, str], held: Mapping[str, str], manifest: Manifest, selected: Iterable[FileManifest]
) -> dict[str, str]:
    """The tensors that an index names and nothing holds, and what is wrong with each; what was left out is not."""
    there, chosen = {file.path for file in manifest.files}, {file.path for file in selected}
    return {
        name: f"is in {path!r} by the index, which {'has it not' if path in there else 'the version has not'}"
        for name, path in indexed.items()
        if name not in held and (path in chosen or path not in there)
    }


def _require(ref: str, absent: Mapping[str, str]) -> None:
    """Half a model is none: what an index promises and nothing holds is an error. Raises UsageError."""
    if absent:
        first = [Violation(name, what) for name, what in islice(absent.items(), _NAMED)]
        raise UsageError(
            f"{ref} lacks {len(absent)} of the tensors that its index names; push all files of the model, or load "
            "others with tensors=",
            violations=first,
        )
