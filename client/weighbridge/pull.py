"""The way out: manifest, selection, what is here already, the chunks that are not, publish."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from weighbridge.cache import ChunkCache
from weighbridge.core.digest import Digest, chunk_digest
from weighbridge.core.manifest import FileManifest, manifest_digest
from weighbridge.destination import Destination
from weighbridge.fetch import Manifest, fetch_manifest
from weighbridge.filling import Filling
from weighbridge.given_up import GivenUp, results
from weighbridge.nearby import NearbyChunks, is_in_place
from weighbridge.places import Place, Places
from weighbridge.progress import Progress, tell_file
from weighbridge.receipt import Receipt, save_receipt
from weighbridge.selection import Selection
from weighbridge.wire.connection import LANES, Connection
from weighbridge.wire.remote_store import RemoteStore

_READERS = 2
"""Threads that hash or decode what is on this machine."""


@dataclass(frozen=True)
class Pulled:
    """A version that was pulled, and what that took."""

    ref: str
    version: int
    manifest: Digest
    path: Path
    files_total: int
    bytes_total: int
    bytes_received: int
    """Encoded payload that came over the wire."""
    chunks_total: int
    chunks_received: int
    seconds: float


def pull_version(
    connection: Connection, ref: str, folder: Path, selection: Selection, cache: ChunkCache, progress: Progress
) -> Pulled:
    """Brings the selected files of a version under ``folder``, verified, or changes nothing there.

    Raises:
        DataLoss: bytes are not what was pushed; names the file and the chunk.
        DestinationUnwritable: the folder cannot be written.
        UsageError: the selection leaves no file.
        InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound, Unavailable.
    """
    began = time.monotonic()
    whole = connection.patience().run(lambda: fetch_manifest(connection, ref))
    chosen = selection.of(whole.ref, whole.files)
    patience = connection.patience()
    given_up = GivenUp()
    progress.begin(len(chosen), sum(file.size_bytes for file in chosen))
    # A folder for unfinished files is found again by what it will hold.
    with Destination(folder, manifest_digest(chosen)) as destination:
        manifest = replace(whole, files=chosen)
        lacking = _lacking(destination, manifest, _in_place(folder, chosen, progress, given_up), progress)
        filling = Filling(destination, manifest, lacking, cache, patience, progress, given_up, keep=True)
        _take_what_is_here(filling, folder, manifest, lacking, cache)
        filling.bring(
            [RemoteStore(connection, ref=manifest.ref, lane=lane, given_up=given_up) for lane in range(LANES)]
        )
        destination.settle()
        # Before the first file is in its place: a crash among the renames is then seen by verify.
        with contextlib.suppress(OSError):  # without a receipt, verify asks the server
            save_receipt(folder, Receipt(whole.ref, whole.digest, whole.files, _paths(chosen)))
        destination.publish()
    return Pulled(
        ref=whole.ref,
        version=whole.version,
        manifest=whole.digest,
        path=folder,
        files_total=len(chosen),
        bytes_total=sum(file.size_bytes for file in chosen),
        bytes_received=filling.counts.bytes_received,
        chunks_total=sum(len(file.chunks) for file in chosen),
        chunks_received=filling.counts.chunks_received,
        seconds=time.monotonic() - began,
    )


def _in_place(folder: Path, files: Sequence[FileManifest], progress: Progress, given_up: GivenUp) -> set[int]:
    """The numbers of the files that the folder holds already."""
    with given_up.threads(_READERS, "weighbridge-local") as readers:
        found = results(readers.submit(is_in_place, folder, file, given_up) for file in files)
    in_place = {index for index, there in enumerate(found) if there}
    for index in in_place:
        progress.advance(files[index].size_bytes, 0)
    return in_place


def _lacking(destination: Destination, manifest: Manifest, in_place: Set[int], progress: Progress) -> Places:
    """What the files need: all but what an earlier pull left unfinished and is right when hashed again."""
    begun = destination.expect(manifest.files, in_place)
    places = Places()
    for index, file in enumerate(manifest.files):
        if index in in_place:
            continue
        if index in begun:
            tell_file(progress, file.path)
        offset = 0
        found = destination.read(index) if index in begun else iter(())
        for ref in file.chunks:
            raw = next(found, None)
            if raw is not None and chunk_digest(raw) == ref.digest:
                progress.advance(ref.raw_bytes, 0)
            else:
                places.add(ref.digest, Place(index, offset, ref.raw_bytes))
            offset += ref.raw_bytes
    return places


def _take_what_is_here(filling: Filling, folder: Path, manifest: Manifest, lacking: Places, cache: ChunkCache) -> None:
    with closing(NearbyChunks(folder, manifest.files, lacking)) as nearby:
        filling.take_from(nearby, threads=1)
    filling.take_from(cache, threads=_READERS)


def _paths(files: Sequence[FileManifest]) -> frozenset[str]:
    return frozenset(file.path for file in files)
