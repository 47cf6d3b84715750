"""A version on its way out: its manifest, its chunks, and raw bytes of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weighbridge.core.chunks import ChunkRef, EncodedChunk
from weighbridge.core.codec import open_chunk
from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.errors import ChunkMismatch, ChunkNotFound, DataLoss, FileNotInVersion
from weighbridge.core.manifest import FileSummary
from weighbridge.core.refs import parse_ref
from weighbridge.core.values import Version
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.ports import ChunkStores
from weighbridge_server.domain.registry.versions import find_version

_LIST_PAGE = 8192
"""Chunk list entries in one message: some 400 KiB."""
_READ_AHEAD = 64
"""Chunks of a file located at once for ``read_file``."""


class Reading:
    """Reads of committed versions. Each read is right or fails with DATA_LOSS, never in between."""

    def __init__(self, catalog: Catalog, chunks: ChunkStores) -> None:
        self._catalog = catalog
        self._chunks = chunks

    def manifest(self, ref: str, *, files_only: bool) -> tuple[Version, Iterator[FileSummary | list[ChunkRef]]]:
        """The version, and its files in order of path, each followed by its chunk list in parts.

        ``files_only`` leaves the chunk lists out.

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        with self._catalog.transaction() as tx:
            version = find_version(tx, parse_ref(ref))
            files = tx.versions.files(version.model, version.version)
        return version, iter(files) if files_only else self._files(files)

    def _files(self, files: Sequence[FileSummary]) -> Iterator[FileSummary | list[ChunkRef]]:
        for group in _groups(files):
            # One query serves a group of small files; a long list is read in parts.
            lists = self._chunk_lists([file.root for file in group], 0)
            for file in group:
                yield file
                if file.chunks_total:
                    yield lists[file.root]
                for start in range(_LIST_PAGE, file.chunks_total, _LIST_PAGE):
                    yield self._chunk_lists([file.root], start)[file.root]

    def _chunk_lists(self, roots: Sequence[Digest], start: int) -> dict[Digest, list[ChunkRef]]:
        with self._catalog.transaction() as tx:
            return tx.versions.chunk_lists(roots, start, _LIST_PAGE)

    def chunks(self, ref: str, digests: Sequence[Digest]) -> Iterator[EncodedChunk]:
        """Chunks of a version as they are stored, in the order asked.

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound, ChunkNotFound,
            DataLoss (naming file and chunk).
        """
        with self._catalog.transaction() as tx:
            version = find_version(tx, parse_ref(ref))
            outside = tx.versions.outside(version.model, version.version, digests)
        if outside:
            name = format_digest(outside[0])
            raise ChunkNotFound(f"{version.ref} holds no chunk {name}", details={"digest": name})
        return self._get(version, digests)

    def _get(self, version: Version, digests: Sequence[Digest]) -> Iterator[EncodedChunk]:
        stored = self._chunks.get(digests)
        return (self._next(version, digest, stored) for digest in digests)

    def _next(self, version: Version, digest: Digest, stored: Iterator[EncodedChunk]) -> EncodedChunk:
        try:
            return next(stored)
        except DataLoss as fault:
            raise self._loss(version, digest, fault.message) from fault

    def read_file(self, ref: str, path: str, offset: int, limit: int) -> Iterator[bytes]:
        """Raw, verified bytes of one file from ``offset``, at most ``limit`` (0: to the end).

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound,
            FileNotInVersion, DataLoss (naming file and chunk).
        """
        with self._catalog.transaction() as tx:
            version = find_version(tx, parse_ref(ref))
            file = tx.versions.file(version.model, version.version, path)
        if file is None:
            raise FileNotInVersion(
                f"{version.ref} holds no file {path!r}; GetManifest lists its files",
                details={"ref": version.ref, "path": path},
            )
        return self._read(version, file, offset, min(file.size_bytes, offset + (limit or file.size_bytes)))

    def _read(self, version: Version, file: FileSummary, begin: int, end: int) -> Iterator[bytes]:
        for position, digests in self._spans(file, begin, end):
            for chunk in self._get(version, digests):
                try:
                    raw = open_chunk(chunk)
                except ChunkMismatch as fault:
                    raise self._loss(version, chunk.digest, fault.message) from fault
                yield bytes(memoryview(raw)[max(0, begin - position) : end - position])
                position += len(raw)

    def _spans(self, file: FileSummary, begin: int, end: int) -> Iterator[tuple[int, list[Digest]]]:
        """The chunks that cover begin..end, in groups, each with the offset at which it begins."""
        position = 0
        for start in range(0, file.chunks_total, _LIST_PAGE):
            if position >= end:
                return
            wanted: list[Digest] = []
            at = position
            for chunk in self._chunk_lists([file.root], start)[file.root]:
                if position < end and position + chunk.raw_bytes > begin:
                    at = at if wanted else position
                    wanted.append(chunk.digest)
                position += chunk.raw_bytes
                if len(wanted) == _READ_AHEAD:
                    yield at, wanted
                    wanted = []
            if wanted:
                yield at, wanted

    def _loss(self, version: Version, digest: Digest, what: str) -> DataLoss:
        """A loss that names the file and the chunk it hits, at its first place in the version."""
        with self._catalog.transaction() as tx:
            place = tx.versions.where(version.model, version.version, digest)
        path, chunk = place or ("?", -1)
        return DataLoss(
            f"{version.ref}: file {path!r}, chunk {chunk}: {what}. Push the file again to heal it",
            details={"ref": version.ref, "path": path, "chunk": str(chunk), "digest": format_digest(digest)},
        )


def _groups(files: Sequence[FileSummary]) -> Iterator[list[FileSummary]]:
    group: list[FileSummary] = []
    entries = 0
    for file in files:
        if group and entries + file.chunks_total > _LIST_PAGE:
            yield group
            group, entries = [], 0
        group.append(file)
        entries += file.chunks_total
    if group:
        yield group
