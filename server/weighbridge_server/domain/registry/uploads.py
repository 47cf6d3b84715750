"""A version on its way in: begin, chunks, manifest, commit.

Nothing of an upload is visible before its commit, which is one transaction. What a crash leaves at any
point is an open upload whose lease runs out, and chunks that are held for it until it is cleaned away. As long as
they are held, a call that names the upload opens it again: a trainer that was away for hours loses no metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.curves import curves_of
from weighbridge.core.digest import Digest, format_digest
from weighbridge.core.errors import (
    AliasNotFound,
    ChunksMissing,
    InvalidPath,
    InvalidRequest,
    ModelDeleted,
    ModelNotFound,
    UploadEnded,
    UploadNotFound,
    VersionDeleted,
    VersionNotFound,
    Violation,
    WeighbridgeError,
)
from weighbridge.core.limits import CHUNKS_PER_VERSION, FILES_PER_VERSION, PATH_BYTES, check_limit
from weighbridge.core.manifest import FileManifest, FileSummary, check_file, check_manifest
from weighbridge.core.paths import check_paths
from weighbridge.core.policies import Verdict
from weighbridge.core.record_check import check_metrics, check_record
from weighbridge.core.refs import check_model_name, parse_ref, version_ref
from weighbridge.core.store import Ack
from weighbridge.core.values import MetricPoint, Parent, Record, Stage, Upload, Version
from weighbridge_server.domain.access.callers import Readable
from weighbridge_server.domain.canonical import canonical_json, json_digest
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.metrics.metric_log import add_curves
from weighbridge_server.domain.policy.automatic import promote_automatically
from weighbridge_server.domain.policy.evidence import evidence
from weighbridge_server.domain.policy.gate import check_begin, check_commit
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import existing_model
from weighbridge_server.domain.registry.names import check_new_name
from weighbridge_server.domain.registry.ports import ChunkStores, NewVersion, UploadRow
from weighbridge_server.domain.registry.record_text import record_text
from weighbridge_server.domain.registry.versions import find_version
from weighbridge_server.domain.requests import once
from weighbridge_server.domain.schema.schemas import Schemas, check_committed, revision_of

LEASE_S = 3600
HARD_EXPIRY_S = 7 * 24 * 3600
_ENTRIES_AT_ONCE = 16_384
"""Entries of chunk lists that one transaction records; a file with a longer list is one transaction too."""

_MOST_NAMED = 20
"""How many missing chunks an error lists; the rest is found by asking again."""


class Uploads:
    """Uploads of every model."""

    def __init__(self, catalog: Catalog, chunks: ChunkStores, schemas: Schemas) -> None:
        self._catalog = catalog
        self._chunks = chunks
        self._schemas = schemas

    def begin(self, actor: str, request_id: str, model: str, record: Record) -> Upload:
        """Opens an upload and checks the record.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, LimitExceeded, ModelNotFound, ModelDeleted,
            RequestIdReused, SchemaViolated, PolicyRefused, VersionNotFound, AliasNotFound.
        """
        check_model_name(model)
        check_record(record)
        with self._catalog.transaction(actor) as tx:
            # The payload is what the caller sent: what its references stand for may move between two tries.
            payload = {"call": "BeginVersion", "model": model, "record": record_text(record)}
            # The record first and the model last: a client creates a missing model only when all else is right.
            upload_id = once(tx, request_id, payload, lambda: self._add(tx, model, record))
            return _upload(open_upload(tx, upload_id))

    def _add(self, tx: Transaction, model: str, record: Record) -> str:
        _lock_models(tx, model, record)
        if tx.models.get(model) is None:
            check_new_name(tx, model)
        pinned = _pin_parents(tx, record)
        text = record_text(pinned)
        self._schemas.check_begun(tx, model, pinned)
        check_begin(tx, model, pinned)
        existing_model(tx, model)
        return tx.uploads.add(model, text, LEASE_S, HARD_EXPIRY_S)

    def renew(self, actor: str, upload_id: str) -> Upload:
        """Raises: UploadNotFound, UploadEnded."""
        with self._catalog.transaction(actor) as tx:
            open_upload(tx, upload_id)
            tx.uploads.renew(upload_id, LEASE_S)
            return _upload(open_upload(tx, upload_id))

    def abort(self, actor: str, upload_id: str) -> None:
        """Ends an upload without a version. Raises: UploadNotFound."""
        with self._catalog.transaction(actor) as tx:
            if _own_upload(tx, upload_id, lock=True).state == "open":
                tx.uploads.abort(upload_id)

    def model_of(self, actor: str, upload_id: str) -> str:
        """The model of an upload, whatever became of it. Raises: UploadNotFound."""
        with self._catalog.transaction(actor) as tx:
            return _own_upload(tx, upload_id).model

    def find_missing(
        self, actor: str, upload_id: str, digests: Sequence[Digest], readable: Readable = None
    ) -> list[Digest]:
        """Those that the upload still needs. Of what is there, only what this actor sent or can read counts.

        Raises:
            UploadNotFound, UploadEnded.
        """
        self.renew(actor, upload_id)
        return self._chunks.for_upload(upload_id, readable).missing(digests)

    def receive(self, actor: str, upload_id: str, chunks: Iterable[EncodedChunk]) -> Iterator[Ack]:
        """Takes chunks in while the acks are iterated; see ``ChunkStore.put``.

        Raises:
            UploadNotFound, UploadEnded, ChunkMismatch, StorageFailed.
        """
        self.renew(actor, upload_id)
        return self._chunks.for_upload(upload_id).put(chunks)

    def put_manifest(self, actor: str, upload_id: str, files: Iterable[FileManifest]) -> int:
        """Records files; returns how many the upload has now.

        Raises:
            UploadNotFound, UploadEnded, ManifestMismatch, InvalidPath, LimitExceeded, ChunksMissing.
        """
        self.renew(actor, upload_id)
        for batch in _batches(files):
            check_paths([file.path for file in batch])
            with self._catalog.transaction(actor) as tx:
                open_upload(tx, upload_id, lock=True)
                missing = tx.uploads.put_files(upload_id, batch)
                if missing:
                    raise _missing(missing)
                check_limit("files", tx.uploads.files_total(upload_id), FILES_PER_VERSION)
        with self._catalog.transaction(actor) as tx:
            return tx.uploads.files_total(upload_id)

    def commit(
        self, actor: str, upload_id: str, manifest: Digest, record: Record, metrics: Sequence[MetricPoint]
    ) -> Version:
        """Makes the upload the model's next version.

        Raises:
            UploadNotFound, UploadEnded, ModelDeleted, ChunksMissing, ManifestMismatch, InvalidPath,
            InvalidRequest, LimitExceeded, SchemaViolated, PolicyRefused, VersionNotFound, AliasNotFound.
        """
        check_record(record)
        check_metrics(metrics)
        with self._catalog.transaction(actor) as tx:
            upload = _own_upload(tx, upload_id)
            _lock_models(tx, upload.model, record)
            model = existing_model(tx, upload.model, lock=True)
            upload = _own_upload(tx, upload_id, lock=True)
            digest = _commit_digest(manifest, record, metrics)
            if upload.state == "committed" and upload.commit_digest == digest:
                return find_version(tx, parse_ref(upload.committed_ref), whole=True)
            _require_open(upload)
            pinned = _pin_parents(tx, record, deleted=True)
            files = _whole_files(tx, upload_id, manifest)
            log = tx.metrics.of_upload(upload_id)
            schema = self._schemas.govern(tx, model.name)
            tx.policies.lock(shared=True)
            number = model.latest_version + 1
            ref = version_ref(model.name, number)
            new = NewVersion(
                upload_id=upload_id,
                model=model.name,
                number=number,
                manifest=manifest,
                stage=Stage.DEVELOPMENT,
                record=record_text(pinned),
                files_total=len(files),
                bytes_total=sum(file.size_bytes for file in files),
                chunks_total=sum(file.chunks_total for file in files),
                metric_points=add_curves(tx, log, curves_of(metrics, log.now)),
                commit_digest=digest,
                schema=None if schema is None else revision_of(schema),
            )
            tx.versions.add(new)
            tx.lineage.add(model.name, number, pinned.parents)
            version = find_version(tx, parse_ref(ref), whole=True)
            check_committed(tx, version, schema)
            verdict = check_commit(tx, version)
            tx.record(Change("version.committed", ref, "", _committed(new, verdict)))
            return promote_automatically(tx, version)


def _commit_digest(manifest: Digest, record: Record, metrics: Sequence[MetricPoint]) -> Digest:
    """Of what a commit says: one that comes again is told by it."""
    return json_digest(
        {
            "manifest": format_digest(manifest),
            "record": record_text(record),
            "metrics": [repr(point) for point in metrics],
        }
    )


def _whole_files(tx: Transaction, upload_id: str, manifest: Digest) -> list[FileSummary]:
    """The files of an upload, every chunk of which is there. Raises as ``Uploads.commit``."""
    files = tx.uploads.files(upload_id)
    if not files:
        raise InvalidRequest("a version needs at least one file", violations=[Violation("files", "none was added")])
    check_paths([file.path for file in files])
    check_limit("chunks", sum(file.chunks_total for file in files), CHUNKS_PER_VERSION)
    check_manifest(files, manifest)
    gone = tx.uploads.gone(upload_id, _MOST_NAMED)
    if gone:
        raise _missing(gone)
    return files


def _committed(version: NewVersion, verdict: Verdict | None) -> str:
    """What the journal says of a commit. The record's own digest binds it without repeating it."""
    return canonical_json(
        {
            "version": version.number,
            "manifest_digest": format_digest(version.manifest),
            "record_digest": format_digest(json_digest({"record": version.record})),
            "stage": str(version.stage),
            "files_total": version.files_total,
            "bytes_total": version.bytes_total,
            "metric_points": version.metric_points,
            **({} if version.schema is None else {"schema": asdict(version.schema)}),
            **({} if verdict is None else {"evidence": evidence(verdict)}),
        }
    )


def _batches(files: Iterable[FileManifest]) -> Iterator[list[FileManifest]]:
    """Checked files in groups that one transaction records, at most a few megabytes of lists each."""
    batch: list[FileManifest] = []
    paths: set[str] = set()
    entries = 0
    for file in files:
        check_file(file)
        if file.path in paths:
            raise InvalidPath("a path comes twice", violations=[Violation(file.path[:PATH_BYTES], "comes twice")])
        paths.add(file.path)
        check_limit("files", len(paths), FILES_PER_VERSION)
        batch.append(file)
        # A path too long is refused with its batch, which must not hold thousands of them until then.
        entries += 1 + len(file.path) // PATH_BYTES + len(file.chunks)
        if entries >= _ENTRIES_AT_ONCE:
            yield batch
            batch, entries = [], 0
    if batch:
        yield batch


def _pin_parents(tx: Transaction, record: Record, *, deleted: bool = False) -> Record:
    """The record with each parent as ``name:number``, whatever reference named it.

    ``deleted``: a parent may be deleted, or its model. It may have been there when the work began, which may be days
    ago.

    Raises:
        ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound: as the first parent that is wrong;
        where several are, one violation each.
    """
    parents: list[Parent] = []
    faults: list[tuple[int, WeighbridgeError]] = []
    for place, parent in enumerate(record.parents):
        try:
            parents.append(replace(parent, ref=find_version(tx, parse_ref(parent.ref), deleted=deleted).ref))
        except VersionNotFound as fault:
            why = f"{fault.message}. A version can only descend from versions that are committed before it"
            faults.append((place, VersionNotFound(why, details=fault.details)))
        except (ModelNotFound, ModelDeleted, VersionDeleted, AliasNotFound) as fault:
            faults.append((place, fault))
    if not faults:
        return replace(record, parents=parents)
    first = faults[0][1]
    listed = [Violation(f"parents[{place}].ref", fault.message) for place, fault in faults] if len(faults) > 1 else []
    raise type(first)(first.message, violations=listed, details=first.details)


def _lock_models(tx: Transaction, model: str, record: Record) -> None:
    """Locks the model of an upload against every other change, and those of its parents against their own.

    A deletion of a parent, or of the model, locks its model too, and so comes before this or after it: it sees the
    upload or the version that descends from what it deletes, or it is seen here. Without that it could look for
    children before a commit and for open uploads after it, and find neither.
    """
    tx.models.lock(model, {parse_ref(parent.ref).model for parent in record.parents})


def _own_upload(tx: Transaction, upload_id: str, *, lock: bool = False) -> UploadRow:
    upload = tx.uploads.get(upload_id, lock=lock)
    if upload is None or upload.actor != tx.actor:
        raise UploadNotFound(f"there is no upload {upload_id} of yours; begin one", details={"upload_id": upload_id})
    return upload


def open_upload(tx: Transaction, upload_id: str, *, lock: bool = False) -> UploadRow:
    """An upload that the transaction's actor began and that is open. Raises: UploadNotFound, UploadEnded."""
    upload = _own_upload(tx, upload_id, lock=lock)
    _require_open(upload)
    return upload


def _require_open(upload: UploadRow) -> None:
    if upload.state == "open":
        return
    what = f"was committed as {upload.committed_ref}" if upload.state == "committed" else f"has {upload.state}"
    what = "was aborted" if upload.state == "aborted" else what
    raise UploadEnded(
        f"upload {upload.upload_id} {what}; begin a new one, which sends only what is not stored yet",
        details={"upload_id": upload.upload_id, "state": upload.state},
    )


def _missing(digests: Sequence[Digest]) -> ChunksMissing:
    return ChunksMissing(
        "chunks are missing; ask FindMissingChunks, send what it reports and try again",
        violations=[Violation(format_digest(digest), "is not held by this upload") for digest in digests[:_MOST_NAMED]],
        details={"missing": str(len(digests))},
    )


def _upload(row: UploadRow) -> Upload:
    return Upload(row.upload_id, row.model, row.lease_expires_time, row.hard_expires_time)
