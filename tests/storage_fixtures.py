"""The server's own storage, opened by a test without a channel: a catalogue, packs, and the domain on both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from blake3 import blake3

from weighbridge.core.chunks import ChunkRef, EncodedChunk
from weighbridge.core.codec import encode_chunk, open_chunk
from weighbridge.core.digest import Digest, chunk_digest
from weighbridge.core.manifest import FileManifest, file_manifest, manifest_digest
from weighbridge.core.store import Ack, Held
from weighbridge.core.values import Record, Version
from weighbridge_server.domain.journal.journal import Journal
from weighbridge_server.domain.registry.models import Models
from weighbridge_server.domain.registry.reading import Reading
from weighbridge_server.domain.registry.uploads import Uploads
from weighbridge_server.domain.registry.versions import Versions
from weighbridge_server.domain.schema.schemas import Schemas
from weighbridge_server.storage.catalog import Catalog
from weighbridge_server.storage.catalog_index import CatalogIndex
from weighbridge_server.storage.pack_directory import PackDirectory
from weighbridge_server.storage.pack_store import PackStore

MODEL = "vision.defects.resnet"
NOBODY = bytes(32)
"""A digest that no chunk has."""


@dataclass
class Storage:
    """Catalogue, packs and domain as ``app.py`` puts them together."""

    url: str
    packs_path: Path
    catalog: Catalog
    packs: PackDirectory
    store: PackStore

    def __post_init__(self) -> None:
        self.models = Models(self.catalog)
        self.uploads = Uploads(self.catalog, self.store, Schemas(self.catalog, shipped=False))
        self.versions = Versions(self.catalog)
        self.reading = Reading(self.catalog, self.store)
        self.journal = Journal(self.catalog)

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Runs a statement behind the server's back."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            # The driver asks for a literal, so that nobody pastes input into SQL; tests have none.
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def begin(self, actor: str = "ada", model: str = MODEL) -> str:
        """Opens an upload, of a model that is registered when it is not there yet."""
        with self.catalog.transaction(actor) as tx:
            tx.models.add(model, actor, "")
        return self.uploads.begin(actor, "", model, Record()).upload_id

    def send(self, upload_id: str, chunks: Iterable[EncodedChunk], actor: str = "ada") -> list[Ack]:
        """Has chunks taken in; returns when all are durable."""
        return list(self.uploads.receive(actor, upload_id, chunks))

    def commit(self, upload_id: str, files: Sequence[FileManifest], actor: str = "ada") -> Version:
        """Records files whose chunks were sent, and commits."""
        self.uploads.put_manifest(actor, upload_id, files)
        return self.uploads.commit(actor, upload_id, manifest_digest(files), Record(), [])

    def push(self, contents: dict[str, Sequence[EncodedChunk]], actor: str = "ada", model: str = MODEL) -> Version:
        """A whole version from each file's chunks."""
        upload_id = self.begin(actor, model)
        self.send(upload_id, [chunk for chunks in contents.values() for chunk in chunks], actor)
        return self.commit(upload_id, [file_of(path, chunks) for path, chunks in contents.items()], actor)

    def pack_files(self) -> list[Path]:
        """Every sealed pack."""
        return sorted(self.packs_path.glob("[0-9a-f][0-9a-f]/*.pack"))

    def unfinished(self) -> list[Path]:
        """Every pack that is being written."""
        return sorted((self.packs_path / "tmp").iterdir())

    def damage(self, digest: Digest) -> None:
        """Flips one bit in the middle of a chunk's stored payload."""
        ((pack_id, offset, size),) = self.sql(
            "SELECT pack_id, pack_offset, encoded_bytes FROM chunk WHERE digest = %s", digest
        )
        with self.packs.path_of(pack_id).open("r+b") as file:
            at = offset + 92 + size // 2
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))


@contextmanager
def open_storage(url: str, packs_path: Path, *, connections: int = 8, streams: int = 32) -> Iterator[Storage]:
    """Storage on a database and a folder, which may be new or used."""
    catalog = Catalog(url, connections=connections)
    try:
        packs = PackDirectory(packs_path)
        store = PackStore(packs, CatalogIndex(catalog.database), streams=streams)
        try:
            yield Storage(url, packs_path, catalog, packs, store)
        finally:
            store.close()
    finally:
        catalog.close()


def chunk(seed: object, size: int = 1000) -> EncodedChunk:
    """A chunk of bytes that do not compress, the same for the same seed."""
    raw = blake3(repr(seed).encode()).digest(length=size)
    return encode_chunk(raw, chunk_digest(raw))


def chunks(seed: object, count: int, size: int = 1000) -> list[EncodedChunk]:
    """Different chunks."""
    return [chunk((seed, number), size) for number in range(count)]


def wrong_chunk(seed: object = "wrong") -> EncodedChunk:
    """A chunk whose bytes are not those of its digest."""
    raw = os.urandom(1000)
    return encode_chunk(raw, chunk(seed).digest)


def digests_of(of: Iterable[EncodedChunk]) -> list[Digest]:
    """Their names."""
    return [one.digest for one in of]


def raw_of(of: Iterable[EncodedChunk]) -> bytes:
    """The verified bytes of a file that consists of them."""
    return b"".join(open_chunk(one) for one in of)


def file_of(path: str, of: Sequence[EncodedChunk]) -> FileManifest:
    """The entry of a file that consists of these chunks."""
    return file_manifest(path, [ChunkRef(one.digest, one.raw_bytes) for one in of])


def acked(acks: Iterable[Ack], held: Held) -> list[Digest]:
    """Everything that reached a state, in the order of the acks."""
    return [digest for ack in acks if ack.held is held for digest in ack.digests]
