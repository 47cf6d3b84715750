"""Chunks and files."""

from __future__ import annotations

from collections.abc import Iterable

from weighbridge.core.chunks import ChunkRef, Codec, EncodedChunk
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import ChunkMismatch
from weighbridge.core.manifest import FileManifest, FileSummary
from weighbridge.v1 import transfer_pb2


def chunk_value(message: transfer_pb2.Chunk) -> EncodedChunk:
    """A message as a chunk, unverified.

    Raises:
        ChunkMismatch: it names a codec that this release does not know.
    """
    try:
        codec = Codec(message.codec)
    except ValueError as fault:
        name = format_digest(message.digest)
        raise ChunkMismatch(
            f"chunk {name} has codec {message.codec}, which this release does not know",
            details={"digest": name},
        ) from fault
    return EncodedChunk(message.digest, message.raw_bytes, codec, message.payload)


def chunk_list_message(chunks: Iterable[ChunkRef]) -> transfer_pb2.ChunkList:
    """A part of a chunk list as a message."""
    return transfer_pb2.ChunkList(
        chunks=[transfer_pb2.ChunkRef(digest=chunk.digest, raw_bytes=chunk.raw_bytes) for chunk in chunks]
    )


def chunk_list_value(message: transfer_pb2.ChunkList) -> list[ChunkRef]:
    """A message as a part of a chunk list."""
    lengths: dict[int, int] = {}  # most are equal: one object for each saves 32 MB in a million chunks
    return [ChunkRef(chunk.digest, lengths.setdefault(chunk.raw_bytes, chunk.raw_bytes)) for chunk in message.chunks]


def file_message(file: FileManifest | FileSummary) -> transfer_pb2.FileEntry:
    """A file without its chunk list as a message."""
    chunks_total = file.chunks_total if isinstance(file, FileSummary) else len(file.chunks)
    return transfer_pb2.FileEntry(path=file.path, size_bytes=file.size_bytes, root=file.root, chunks_total=chunks_total)


def file_summary(message: transfer_pb2.FileEntry) -> FileSummary:
    """A message as a file without its chunk list."""
    return FileSummary(message.path, message.size_bytes, message.root, message.chunks_total)
