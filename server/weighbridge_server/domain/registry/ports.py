"""What the registry of models, versions and uploads needs of storage."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from weighbridge.core.chunks import ChunkRef, EncodedChunk
from weighbridge.core.digest import Digest
from weighbridge.core.manifest import FileManifest, FileSummary
from weighbridge.core.store import ChunkStore
from weighbridge.core.values import (
    Dataset,
    Model,
    Parent,
    Relation,
    SchemaRevision,
    Stage,
    Version,
)


class ChunkStores(Protocol):
    """The server's chunks: written on behalf of an upload, read by digest."""

    def for_upload(self, upload_id: str, readable: Collection[str] | None = None) -> ChunkStore:
        """The store as one upload sees it: what it puts, and what is reported present, is held for it.

        Present is what its actor uploaded, or what a version holds whose model's name is below one of the prefixes
        ``readable`` (None: any).
        """
        ...

    def get(self, digests: Sequence[Digest]) -> Generator[EncodedChunk, None, None]:
        """As ``ChunkStore.get``, for callers whose right to these chunks was checked."""
        ...


@dataclass(frozen=True)
class UploadRow:
    """An upload as the catalogue keeps it."""

    upload_id: str
    model: str
    actor: str
    state: str
    """``open``, ``committed``, ``aborted``, or ``expired``: past its hard expiry. One whose lease ran out is open."""
    lease_expires_time: datetime
    hard_expires_time: datetime
    committed_ref: str
    """``name:number``, when committed."""
    commit_digest: Digest
    """Digest of the payload it was committed with, when committed."""


@dataclass(frozen=True)
class NewVersion:
    """What a commit adds."""

    upload_id: str
    model: str
    number: int
    manifest: Digest
    stage: Stage
    record: str
    """Canonical JSON."""
    files_total: int
    bytes_total: int
    chunks_total: int
    metric_points: int
    """Of the log of its upload, which becomes the version's."""
    commit_digest: Digest
    schema: SchemaRevision | None
    """What it passed."""


@dataclass(frozen=True, slots=True)
class Descent:
    """One step of descent, between the keys of two versions."""

    child: int
    parent: int
    relation: Relation


class ModelRows(Protocol):
    """Models."""

    def add(
        self, name: str, owner: str, description: str, *, team: str = "", contact: str = "", card: str = ""
    ) -> bool:
        """Adds one, created by the transaction's actor; False when the name is taken."""
        ...

    def get(self, name: str, *, whole: bool = False, lock: bool = False) -> Model | None:
        """A deleted one too. ``whole``: with its card.

        ``lock``: its row is locked until the transaction ends. Every change of a model does this first, and so does
        what must not happen to a deleted one.
        """
        ...

    def lock(self, name: str, shared: Collection[str]) -> None:
        """Locks this one as ``get`` does, and others so that nobody can lock them as ``get`` does.

        All in order of name, so that two calls wait for each other in one order; those that are not there are passed
        over.
        """
        ...

    def page(
        self, after: str, size: int, *, deleted: bool = False, readable: Collection[str] | None = None
    ) -> list[Model]:
        """In order of name, from the first after ``after``; ``deleted``: those that are deleted too.

        ``readable``: only those whose names are below one of these prefixes; None: all.
        """
        ...

    def update(self, name: str, texts: Mapping[str, str]) -> None:
        """Changes these texts. The caller locked the model, here and below."""
        ...

    def delete(self, name: str, reason: str) -> None:
        """Marks it as deleted by the transaction's actor."""
        ...

    def restore(self, name: str) -> None: ...


class VersionRows(Protocol):
    """Committed versions."""

    def add(self, version: NewVersion) -> None:
        """Adds one with the files of its upload, and ends the upload. The caller locked the model."""
        ...

    def get(self, model: str, number: int, *, whole: bool) -> Version | None:
        """``whole``: with its record and metrics."""
        ...

    def held_by(self, model: str, alias: str, *, whole: bool) -> Version | None:
        """The one that an alias points at, read in one statement: the alias and the version are of one moment."""
        ...

    def newest(self, model: str, manifest: Digest | None = None) -> int | None:
        """The highest number that is not deleted, of those with that manifest where one is given."""
        ...

    def newer(self, model: str, number: int, manifest: Digest | None = None) -> list[str]:
        """Those with a higher number as ``name:number``, deleted ones too; with that manifest where one is given."""
        ...

    def at(self, keys: Sequence[int]) -> dict[int, Version]:
        """Those with these keys, deleted ones too; one whose model was deleted has the model's deletion."""
        ...

    def files(self, model: str, number: int) -> list[FileSummary]:
        """In the order of the paths' bytes."""
        ...

    def file(self, model: str, number: int, path: str) -> FileSummary | None: ...

    def chunk_lists(self, roots: Sequence[Digest], start: int, count: int) -> dict[Digest, list[ChunkRef]]:
        """A part of each of these chunk lists: up to ``count`` entries from ``start``."""
        ...

    def outside(self, model: str, number: int, digests: Sequence[Digest]) -> list[Digest]:
        """Those that the version does not hold."""
        ...

    def damaged(self, model: str, number: int, most: int) -> list[str]:
        """Paths of files that have chunks whose stored bytes were found damaged; at most ``most``."""
        ...

    def where(self, model: str, number: int, digest: Digest) -> tuple[str, int] | None:
        """The first path and position in its list at which a version holds a chunk."""
        ...


class VersionChangeRows(Protocol):
    """What changes of a committed version. The caller locked its model."""

    def record(self, model: str, number: int, record: str) -> None:
        """Replaces the record, which is canonical JSON: its tags and description differ, and nothing else."""
        ...

    def stage(self, model: str, number: int, stage: Stage) -> None:
        """Moves it to a stage. Who held a stage that one version holds left it before."""
        ...

    def delete(self, model: str, number: int, reason: str) -> None:
        """Marks it as deleted by the transaction's actor."""
        ...

    def restore(self, model: str, number: int) -> None: ...

    def due(self, deleted_before_s: float, most: int) -> list[tuple[str, int]]:
        """Model and number of those that were deleted longer ago and are not purged, at most ``most``."""
        ...

    def is_due(self, model: str, number: int, deleted_before_s: float) -> bool:
        """Whether ``due`` lists it."""
        ...

    def purge(self, model: str, number: int, record: str) -> None:
        """Lets go of its files, curves and facts for good, and leaves this record; number and descent stay."""
        ...


class LineageRows(Protocol):
    """Which version was made from which. Versions go by keys: a higher one is newer."""

    def add(self, model: str, number: int, parents: Sequence[Parent]) -> None:
        """Adds what a version was made from: its parents, pinned, each of which is there."""
        ...

    def key(self, model: str, number: int) -> int:
        """Of a version that is there."""
        ...

    def made_from_dataset(self, digest: str, most: int) -> list[int]:
        """Those that record a dataset with this digest, the oldest first; at most ``most``."""
        ...

    def reach(self, keys: Sequence[int], *, down: bool, most: int) -> list[int]:
        """These and all that they descend from, or with ``down`` that descends from them: the nearest ``most``."""
        ...

    def readable(self, keys: Sequence[int], prefixes: Collection[str]) -> set[int]:
        """Those of these whose models' names are below one of some prefixes."""
        ...

    def among(self, keys: Sequence[int]) -> list[Descent]:
        """Every step between two of these."""
        ...

    def children(self, model: str, number: int, most: int) -> list[str]:
        """The undeleted versions that were made from it, as ``name:number``, the oldest first; at most ``most``.

        Those of deleted models are left out.
        """
        ...

    def children_elsewhere(self, model: str, most: int) -> list[str]:
        """As ``children``: those of other models that were made from any version of this one."""
        ...

    def datasets(self, keys: Sequence[int]) -> dict[int, list[Dataset]]:
        """What each of these was made from."""
        ...


class UploadRows(Protocol):
    """Uploads. All times are the database's."""

    def add(self, model: str, record: str, lease_s: int, hard_s: int) -> str:
        """Opens one for the transaction's actor and returns its id."""
        ...

    def get(self, upload_id: str, *, lock: bool = False) -> UploadRow | None: ...

    def renew(self, upload_id: str, lease_s: int) -> None:
        """Opens it again where its lease had run out."""
        ...

    def abort(self, upload_id: str) -> None: ...

    def open_of(self, model: str, most: int) -> list[UploadRow]:
        """The open uploads of a model whose lease runs, the newest first; at most ``most``."""
        ...

    def open_children(self, ref: str, most: int) -> list[UploadRow]:
        """Those whose lease runs and that name ``name:number`` as a parent, the newest first; at most ``most``."""
        ...

    def open_children_elsewhere(self, model: str, most: int) -> list[UploadRow]:
        """As ``open_children``: those of other models that name any version of this one."""
        ...

    def expire(self) -> int:
        """Ends the open ones whose lease or whose hard expiry has passed; how many."""
        ...

    def forget(self, ended_before_s: int, most: int) -> int:
        """Removes some that ended longer ago and that nobody else removes now, with what they held; how many."""
        ...

    def put_files(self, upload_id: str, files: Sequence[FileManifest]) -> list[Digest]:
        """Records files, all their rows at once, whose chunks the upload holds; returns those it does not hold."""
        ...

    def files(self, upload_id: str) -> list[FileSummary]: ...

    def files_total(self, upload_id: str) -> int: ...

    def gone(self, upload_id: str, most: int) -> list[Digest]:
        """Chunks of its files that are damaged or no longer there; at most ``most``."""
        ...
