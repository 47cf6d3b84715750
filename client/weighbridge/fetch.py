"""A version's manifest from a server, checked before anything relies on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weighbridge.core.digest import Digest, parse_digest
from weighbridge.core.errors import (
    DataLoss,
    InvalidPath,
    InvalidReference,
    LimitExceeded,
    ManifestMismatch,
    Violation,
)
from weighbridge.core.limits import PATH_BYTES
from weighbridge.core.manifest import FileManifest, check_file, check_manifest
from weighbridge.core.paths import check_paths
from weighbridge.core.refs import Ref, parse_ref, version_ref
from weighbridge.v1 import transfer_pb2
from weighbridge.wire import file_stream
from weighbridge.wire.connection import Connection


@dataclass(frozen=True)
class Manifest:
    """A version's files with their chunk lists, checked against its digest."""

    model: str
    version: int
    ref: str
    digest: Digest
    files: Sequence[FileManifest]


def fetch_manifest(connection: Connection, ref: str) -> Manifest:
    """A version's manifest, checked: what it belongs to, paths, each list and root, and the manifest digest.

    Raises:
        DataLoss: the server sent a manifest that is not what it says, or not the one that was asked for.
        InvalidPath: it has paths that would lead outside of a folder, or that no version may hold.
        InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound, Unavailable.
    """
    asked = parse_ref(ref)
    request = transfer_pb2.GetManifestRequest(ref=ref)
    files: list[FileManifest] = []
    try:
        with contextlib.closing(connection.stream(connection.transfer.GetManifest, request)) as responses:
            header, digest = _header(next(responses, None), asked)
            for file in file_stream.join(_parts(responses)):
                _check_path_length(file.path)
                check_file(file)
                files.append(file)
        totals = len(files), sum(file.size_bytes for file in files)
        if totals != (header.files_total, header.bytes_total):
            raise ManifestMismatch(
                f"it announces {header.files_total} files of {header.bytes_total} bytes "
                f"and has {totals[0]} of {totals[1]}"
            )
        check_manifest(files, digest)
    except (ManifestMismatch, LimitExceeded) as fault:
        raise DataLoss(
            f"{connection.address} sent a wrong manifest of {ref}: {fault.message}", details=fault.details
        ) from fault
    check_paths(file.path for file in files)
    return Manifest(header.model, header.version, header.ref, digest, files)


def _header(first: transfer_pb2.GetManifestResponse | None, asked: Ref) -> tuple[transfer_pb2.ManifestHeader, Digest]:
    """The header of a manifest, which must be of the version asked for, and the digest in it."""
    if first is None or first.WhichOneof("message") != "header":
        raise ManifestMismatch("it does not begin with its header" if first else "it is empty")
    header = first.header
    if (
        header.model != asked.model
        or header.version != (asked.version or max(header.version, 1))
        or header.ref != version_ref(header.model, header.version)
    ):
        raise ManifestMismatch(
            f"it says that it is version {header.version} of {header.model[:80]!r}, {header.ref[:80]!r}"
        )
    try:
        digest = parse_digest(header.manifest_digest)
    except InvalidReference as fault:
        raise ManifestMismatch(f"its digest is {header.manifest_digest[:80]!r}") from fault
    if asked.manifest not in (None, digest):
        raise ManifestMismatch(f"it says that its digest is {header.manifest_digest}")
    return header, digest


def _parts(responses: Iterator[transfer_pb2.GetManifestResponse]) -> Iterator[file_stream.Part]:
    for response in responses:
        kind = response.WhichOneof("message")
        if kind not in ("file", "chunks"):
            raise ManifestMismatch("it has a second header" if kind else "it has a message without content")
        yield response.file if kind == "file" else response.chunks


def _check_path_length(path: str) -> None:
    """All paths are checked together, at the end; this bounds the memory until then."""
    if len(path) > PATH_BYTES:
        what = f"is {len(path)} characters long; at most {PATH_BYTES} bytes are allowed"
        raise InvalidPath("a path cannot be held by a version", violations=[Violation(path[:80] + "…", what)])
