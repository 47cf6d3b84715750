"""Files with their chunk lists as a stream of parts, as PutManifest and GetManifest carry them.

Both directions of both calls are here: what one side splits, the other joins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from weighbridge.core.chunks import ChunkRef
from weighbridge.core.errors import ManifestMismatch
from weighbridge.core.limits import CHUNKS_PER_VERSION, FILES_PER_VERSION, check_limit
from weighbridge.core.manifest import FileManifest
from weighbridge.v1 import transfer_pb2
from weighbridge.wire import convert

Part = transfer_pb2.FileEntry | transfer_pb2.ChunkList

_ENTRIES_PER_MESSAGE = 8192


def split(files: Iterable[FileManifest]) -> Iterator[Part]:
    """Each file's entry, followed by its chunk list in messages that fit the limits."""
    for file in files:
        yield convert.file_message(file)
        for start in range(0, len(file.chunks), _ENTRIES_PER_MESSAGE):
            yield convert.chunk_list_message(file.chunks[start : start + _ENTRIES_PER_MESSAGE])


def join(parts: Iterable[Part]) -> Iterator[FileManifest]:
    """The files of a stream of parts. Size and root are not checked here: see ``check_file``.

    Raises:
        ManifestMismatch: a list is longer or shorter than its entry announced, or a part of it is empty.
        LimitExceeded: more files, or more chunks, than a version may have.
    """
    entry: transfer_pb2.FileEntry | None = None
    chunks: list[ChunkRef] = []
    files_total = chunks_total = 0
    for part in parts:
        if isinstance(part, transfer_pb2.FileEntry):
            if entry is not None:
                yield _file(entry, chunks)
            entry, chunks = part, []
            files_total += 1
            chunks_total += entry.chunks_total
            check_limit("files", files_total, FILES_PER_VERSION)
            check_limit("chunks", chunks_total, CHUNKS_PER_VERSION)
        elif entry is None:
            raise ManifestMismatch("the stream has chunks before the first file")
        elif not part.chunks:  # a stream of these would never end
            raise ManifestMismatch(f"{entry.path!r} has a part of its list without entries")
        else:
            chunks += convert.chunk_list_value(part)
            if len(chunks) > entry.chunks_total:
                raise _wrong_count(entry, len(chunks))
    if entry is not None:
        yield _file(entry, chunks)


def _file(entry: transfer_pb2.FileEntry, chunks: list[ChunkRef]) -> FileManifest:
    if len(chunks) != entry.chunks_total:
        raise _wrong_count(entry, len(chunks))
    return FileManifest(entry.path, entry.size_bytes, entry.root, chunks)


def _wrong_count(entry: transfer_pb2.FileEntry, actual: int) -> ManifestMismatch:
    return ManifestMismatch(
        f"{entry.path!r} announces {entry.chunks_total} chunks, its list has {actual}",
        details={"path": entry.path, "expected": str(entry.chunks_total), "actual": str(actual)},
    )
