"""Roots and manifest digests: how a list of chunks names a file, and a list of files a version.

Both are BLAKE3-256 in key-derivation mode, whose context string keeps a chunk, a root and a manifest
from ever being mistaken for one another. ``protos/SPEC.md`` has the layout and test vectors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from blake3 import blake3

from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import SIZE_BYTES, Digest, format_digest
from weighbridge.core.errors import ManifestMismatch
from weighbridge.core.limits import CHUNK_BYTES

_ROOT_CONTEXT = "weighbridge.v1 file root"
_MANIFEST_CONTEXT = "weighbridge.v1 manifest"
_CHUNKS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class FileManifest:
    """One file of a version: where it goes, how long it is and which chunks make it up, in order."""

    path: str
    size_bytes: int
    root: Digest
    chunks: Sequence[ChunkRef]


@dataclass(frozen=True, slots=True)
class FileSummary:
    """A file without its chunk list, which the root stands for."""

    path: str
    size_bytes: int
    root: Digest
    chunks_total: int


def file_root(chunks: Iterable[ChunkRef]) -> Digest:
    """The root of a chunk list: over each entry's digest (32 bytes) and length (u32, little-endian)."""
    hasher = blake3(derive_key_context=_ROOT_CONTEXT)
    rest = iter(chunks)
    while part := list(islice(rest, _CHUNKS_AT_ONCE)):
        hasher.update(b"".join(chunk.digest + struct.pack("<I", chunk.raw_bytes) for chunk in part))
    return hasher.digest()


def file_manifest(path: str, chunks: Sequence[ChunkRef]) -> FileManifest:
    """The entry of a file that consists of these chunks."""
    return FileManifest(path, sum(chunk.raw_bytes for chunk in chunks), file_root(chunks), chunks)


def manifest_digest(files: Iterable[FileManifest | FileSummary]) -> Digest:
    """The digest of a version's content, whatever order the files come in.

    Over each file in the order of its path's UTF-8 bytes: length of the path (u32, little-endian), the
    path, the size (u64, little-endian), the root (32 bytes).
    """
    hasher = blake3(derive_key_context=_MANIFEST_CONTEXT)
    for path, size_bytes, root in sorted((file.path.encode(), file.size_bytes, file.root) for file in files):
        hasher.update(struct.pack("<I", len(path)) + path + struct.pack("<Q", size_bytes) + root)
    return hasher.digest()


def check_file(file: FileManifest) -> None:
    """Checks that each entry of the list can be a chunk, and that size and root are those of the list.

    Raises:
        ManifestMismatch: one of them is not.
    """
    for position, chunk in enumerate(file.chunks):
        if len(chunk.digest) != SIZE_BYTES or not 1 <= chunk.raw_bytes <= CHUNK_BYTES:
            raise ManifestMismatch(
                f"{file.path!r}, chunk {position}: a digest of {len(chunk.digest)} bytes for {chunk.raw_bytes} bytes; "
                f"a chunk has {SIZE_BYTES} and 1 to {CHUNK_BYTES}",
                details={"path": file.path, "chunk": str(position)},
            )
    size_bytes = sum(chunk.raw_bytes for chunk in file.chunks)
    if size_bytes != file.size_bytes:
        raise ManifestMismatch(
            f"{file.path!r} says {file.size_bytes} bytes, its chunks have {size_bytes}",
            details={"path": file.path, "expected": str(file.size_bytes), "actual": str(size_bytes)},
        )
    root = file_root(file.chunks)
    if root != file.root:
        raise ManifestMismatch(
            f"{file.path!r} says root {format_digest(file.root)}, its chunks give {format_digest(root)}",
            details={"path": file.path, "expected": format_digest(file.root), "actual": format_digest(root)},
        )


def check_manifest(files: Iterable[FileManifest | FileSummary], expected: Digest) -> None:
    """Checks that files give a manifest digest.

    Raises:
        ManifestMismatch: they give another.
    """
    actual = manifest_digest(files)
    if actual != expected:
        raise ManifestMismatch(
            f"the files give the manifest {format_digest(actual)}, not {format_digest(expected)}",
            details={"expected": format_digest(expected), "actual": format_digest(actual)},
        )
