"""Whether a folder still holds what was pulled into it."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from weighbridge.core.chunking import cut
from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import chunk_digest, format_digest
from weighbridge.core.errors import SourceChanged, SourceUnreadable, UsageError, VersionNotFound, Violation
from weighbridge.core.limits import CHUNK_BYTES
from weighbridge.core.manifest import FileManifest, file_manifest, manifest_digest
from weighbridge.core.paths import PARTIAL_PREFIX
from weighbridge.receipt import Receipt, load_receipt
from weighbridge.source import Source, SourceReader, scan
from weighbridge.v1 import versions_pb2
from weighbridge.wire.connection import Connection


@dataclass(frozen=True)
class Verified:
    """What a folder was found to be."""

    path: Path
    ref: str
    """The version that it holds or should hold."""
    files_total: int
    bytes_total: int
    problems: Sequence[Violation]
    """Empty when every byte is right."""
    others: Sequence[str] = ()
    """Paths of files that are there and did not come with the version, such as an older version's."""

    @property
    def ok(self) -> bool:
        """Whether every byte is right."""
        return not self.problems


def verify_folder(connection: Connection, folder: Path) -> Verified:
    """Reads every byte of a folder and compares it with what was pulled there.

    Without a receipt of the pull on this machine, the folder as a whole is looked up on the server by its
    digest. Files that did not come with the version are named in ``others``, and are no problem.

    Raises:
        UsageError: it is not a folder.
        VersionNotFound: there is no receipt, and no version holds exactly this content.
        SourceUnreadable: a file cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; name the one that a version was pulled into")
    receipt = load_receipt(folder)
    if receipt is None:
        return _look_up(connection, folder)
    problems = [problem for file in receipt.files for problem in _problems(folder, file)]
    bytes_total = sum(file.size_bytes for file in receipt.files)
    return Verified(folder, receipt.ref, len(receipt.files), bytes_total, problems, _others(folder, receipt))


def _others(folder: Path, receipt: Receipt) -> list[str]:
    pulled = {file.path for file in receipt.files}
    return sorted(
        path
        for local in folder.rglob("*")
        if (path := str(local.relative_to(folder))) not in pulled
        and not path.startswith(PARTIAL_PREFIX)
        and (local.is_symlink() or not local.is_dir())
    )


def _problems(folder: Path, file: FileManifest) -> Iterator[Violation]:
    local = folder / file.path
    try:
        status = local.stat()
    except OSError as fault:
        absent = isinstance(fault, FileNotFoundError | NotADirectoryError)
        yield Violation(file.path, "is not there" if absent else f"cannot be looked at: {fault.strerror}")
        return
    if not stat.S_ISREG(status.st_mode):
        yield Violation(file.path, "is not a regular file")
        return
    if status.st_size != file.size_bytes:
        yield Violation(file.path, f"has {status.st_size} bytes; {file.size_bytes} were pulled")
        return
    try:
        with SourceReader(Source(local, file.path, status.st_size, status.st_mtime_ns)) as reader:
            offset = 0
            room = memoryview(bytearray(CHUNK_BYTES))
            for position, chunk in enumerate(file.chunks):
                raw = room[: chunk.raw_bytes]
                reader.read_into(raw, offset)
                if chunk_digest(raw) != chunk.digest:
                    yield Violation(file.path, f"chunk {position}, at byte {offset}, is not what was pulled")
                offset += chunk.raw_bytes
    except (SourceChanged, SourceUnreadable) as fault:
        yield Violation(file.path, fault.message)


def _look_up(connection: Connection, folder: Path) -> Verified:
    sources = scan([folder])
    digest = format_digest(manifest_digest(_read(source) for source in sources))
    request = versions_pb2.ListVersionsRequest(manifest_digest=digest, page_size=1)
    versions = connection.call(connection.versions.ListVersions, request).versions
    if not versions or versions[0].manifest_digest != digest:
        raise VersionNotFound(
            f"{folder} was not pulled on this machine, and no version on {connection.address} holds exactly "
            f"this content ({digest}). Pull the version again into another folder to compare"
        )
    bytes_total = sum(source.size_bytes for source in sources)
    return Verified(folder, versions[0].ref, len(sources), bytes_total, ())


def _read(source: Source) -> FileManifest:
    with SourceReader(source) as reader:
        chunks: list[ChunkRef] = []
        room = memoryview(bytearray(CHUNK_BYTES))
        for span in cut(reader, source.size_bytes):
            raw = room[: span.size]
            reader.read_into(raw, span.offset)
            chunks.append(ChunkRef(chunk_digest(raw), span.size))
        reader.check_unchanged()
    return file_manifest(source.path, chunks)
