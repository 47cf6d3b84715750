"""The ``begin`` block: a version while it is being made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, SupportsFloat

from weighbridge.added import AddedFiles
from weighbridge.begin import begin_upload
from weighbridge.capture.background import Capture
from weighbridge.capture.energy import tracked_energy
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import (
    ChunksMissing,
    DataLoss,
    DeadlineExceeded,
    SourceChanged,
    SourceUnreadable,
    StorageFailed,
    Unavailable,
    UploadEnded,
    UploadNotFound,
    UsageError,
    WeighbridgeError,
)
from weighbridge.core.manifest import FileManifest, manifest_digest
from weighbridge.core.record_check import check_record
from weighbridge.core.record_form import check_record_bytes
from weighbridge.core.refs import version_ref
from weighbridge.core.scalars import plain, plain_number, plain_specs
from weighbridge.core.values import (
    Dataset,
    Energy,
    Record,
    Scalar,
    Signature,
    TensorSpec,
    Version,
)
from weighbridge.forked import keep_to_this_process
from weighbridge.given_up import GivenUp
from weighbridge.lease import Lease
from weighbridge.metric_stream import MetricStream
from weighbridge.progress import Progress
from weighbridge.push import FileUpload
from weighbridge.source import Source, scan
from weighbridge.v1 import transfer_pb2, versions_pb2
from weighbridge.wire import convert, file_stream
from weighbridge.wire.connection import LANES, Connection
from weighbridge.wire.remote_store import RemoteStore

_ABORT_LIMIT_S = 5.0
"""Somebody may have pressed Ctrl-C, and a lease runs out by itself."""


@dataclass(frozen=True)
class Pushed:
    """A version that was committed, and what that took."""

    version: Version
    bytes_total: int
    bytes_sent: int
    """Encoded payload that went over the wire."""
    chunks_total: int
    chunks_sent: int
    seconds: float
    """From Begin to Commit."""


class VersionInProgress:
    """A version that is being made. A context manager: commits when its block ends without an exception.

    Where the block ends with one, the version is given up. Where it is the commit that fails, it is not, whether the
    server refuses it or is away: it can be mended and committed behind the block, or given up by ``abort``. A note on
    the exception says so.

    Made by ``Client.begin``. The methods may be called from one thread at a time; files are uploaded in
    the background, so that training goes on.

    It belongs to the process that began it. In one that is forked from that, such as by ``multiprocessing``, every
    method raises ``UsageError``, and whatever ends there ends nothing here: hand the values back to this process.
    """

    def __init__(
        self, connection: Connection, model: str, record: Record, progress: Progress, *, capture: bool = True
    ) -> None:
        check_record(record)
        check_record_bytes(record)
        self._capture = Capture() if capture else None  # of the code as it is now: training may go on for days
        self._connection = connection
        self._model = model
        self._record = record
        self._began = time.monotonic()
        self._upload = begin_upload(connection, model, record, self._capture)
        self._given_up = GivenUp()
        self._metrics = MetricStream(connection, self._upload.upload_id, self._given_up)
        lanes = [
            RemoteStore(connection, upload_id=self._upload.upload_id, given_up=self._given_up, lane=lane)
            for lane in range(LANES)
        ]
        self._files = FileUpload(lanes, progress, lambda: connection.patience(self._given_up), self._given_up)
        self._added = AddedFiles(self._upload_files)
        self._lease = Lease(connection, self._upload.upload_id)
        self._over: str | None = None
        """Why nothing more can be done with it, here or at all."""
        self._elsewhere = False
        """Whether another process began it, of which this one is a fork."""
        self.result: Pushed | None = None
        """Set when the version is committed."""
        keep_to_this_process(self)

    def forked(self) -> None:
        """See ``OfOneProcess``."""
        self._over, self._elsewhere = _ELSEWHERE, True
        self._metrics.leave_to_parent(UsageError(_ELSEWHERE))

    @property
    def model(self) -> str:
        """The model's name."""
        return self._model

    # -- what is recorded ----------------------------------------------------------------------

    def log_params(self, **params: Scalar) -> None:
        """Records parameters; a name given again replaces its value.

        Raises:
            InvalidRequest: a value is not text, a finite number, true or false.
            LimitExceeded: the record would be longer than 64 KiB; it is as it was before.
        """
        self._change(params={**self._record.params, **plain(params)})

    def set_tags(self, **tags: Scalar) -> None:
        """Records tags; as ``log_params``."""
        self._change(tags={**self._record.tags, **plain(tags)})

    def log_metric(self, name: str, value: SupportsFloat, step: int = 0) -> None:
        """Records one point of a metric's curve; NaN and infinities are kept.

        The point is sent in the background, every two seconds, and again until the server has it. While the server is
        away, two million points wait here. Takes a few microseconds at most; safe to use from several threads.

        Raises:
            InvalidRequest: the name is empty or too long, or the value or the step is no number.
            LimitExceeded: it would be one metric, or one point, more than a version has.
            WeighbridgeError: why earlier points could not be sent, or are too many to wait. Points that the server
                refused are dropped, which is raised once. The point of this call is not recorded.
        """
        self._metrics.log(name, value, step)

    def log_metrics(self, values: Mapping[str, SupportsFloat], step: int = 0) -> None:
        """Records a point of each of several metrics; as ``log_metric``."""
        self._metrics.log_all(values, step)

    def add_dataset(self, name: str, version: str = "", *, digest: str = "", uri: str = "", role: str = "") -> None:
        """Records data that the version was made from."""
        self._change(datasets=(*self._record.datasets, Dataset(name, version, digest, uri, role)))

    def describe(self, text: str) -> None:
        """Records what this version is, in your words."""
        self._change(description=text)

    def set_signature(self, inputs: Sequence[TensorSpec] = (), outputs: Sequence[TensorSpec] = ()) -> None:
        """Records what the model takes and gives, in place of what was said before.

        Raises:
            InvalidRequest: a name is empty, or a dimension is neither -1 nor a length.
        """
        self._change(signature=Signature(plain_specs("inputs", inputs), plain_specs("outputs", outputs)))

    def log_energy(
        self, *, kwh: float | None = None, gco2e: float | None = None, region: str = "", method: str = ""
    ) -> None:
        """Records what making the version took, in place of what was said before.

        Args:
            kwh: electricity, in kWh.
            gco2e: emissions, in grams of CO2 equivalent.
            region: where the electricity came from.
            method: how it was found: a meter, a tool, an estimate.

        Raises:
            InvalidRequest: a number is negative, NaN or infinite.
        """
        self._change(energy=Energy(plain_number(kwh), plain_number(gco2e), region, method))

    def track_energy(self, **options: Any) -> AbstractContextManager[None]:
        """Measures a ``with`` block by codecarbon and records what it took; blocks that follow are added.

        Args:
            **options: codecarbon's. It looks up over the network where it is, but not with ``country_iso_code``.

        Raises:
            UsageError: codecarbon is not installed.
        """
        return tracked_energy(self._add_energy, options)

    def _add_energy(self, energy: Energy) -> None:
        before = self._record.energy or Energy()
        self._change(energy=replace(energy, kwh=_sum(before.kwh, energy.kwh), gco2e=_sum(before.gco2e, energy.gco2e)))

    def _change(self, **fields: Any) -> None:
        self._require_open()
        record = replace(self._record, **fields)
        check_record(record)
        check_record_bytes(record)  # now: the commit comes after the training
        self._record = record

    def _require_open(self) -> None:
        if self._over is not None:
            raise UsageError(self._over)

    # -- files ---------------------------------------------------------------------------------

    def add(self, *paths: str | os.PathLike[str]) -> None:
        """Adds files and folders and begins to upload them in the background.

        A folder's files keep their paths relative to it, a file its base name. Do not change them before
        the block ends: a change that is noticed fails the version with ``SourceChanged``.

        Raises:
            SourceUnreadable, InvalidPath, LimitExceeded: before a byte is sent.
            WeighbridgeError: what an earlier ``add`` failed with, unless it was for a server that was away. The next
                call tries that one again; these files are not added.
        """
        self._require_open()
        self._added.add(scan(paths))

    def add_sources(self, sources: list[Source]) -> None:
        """As ``add``, for what was scanned already."""
        self._require_open()
        self._added.add(sources)

    def wait(self) -> None:
        """Waits until everything that was added or logged is on the server, safe but not visible.

        Raises:
            WeighbridgeError: what an ``add`` failed with, which the next call tries again; or why metrics cannot be
                sent, or were refused.
        """
        self._require_open()
        self._added.files()
        self._metrics.flush()

    def _upload_files(self, sources: Sequence[Source]) -> list[FileManifest]:
        files = self._files.add(sources)
        try:
            self._put_manifest(files)
        except ChunksMissing:  # found damaged since the server said that it has them
            self._files.forget()
            self._put_manifest(self._files.add(sources))
        return files

    def _put_manifest(self, files: list[FileManifest]) -> None:
        self._connection.send(
            self._connection.transfer.PutManifest, lambda: self._manifest_requests(files), self._given_up
        )

    def _manifest_requests(self, files: Iterable[FileManifest]) -> Iterable[transfer_pb2.PutManifestRequest]:
        yield transfer_pb2.PutManifestRequest(open=transfer_pb2.OpenUpload(upload_id=self._upload.upload_id))
        for part in file_stream.split(files):
            if isinstance(part, transfer_pb2.FileEntry):
                yield transfer_pb2.PutManifestRequest(file=part)
            else:
                yield transfer_pb2.PutManifestRequest(chunks=part)

    # -- the end -------------------------------------------------------------------------------

    def commit(self) -> Pushed:
        """Waits for the uploads and the metrics, and makes the version visible. Called by the block's end.

        Where it fails, what was uploaded stays: mend what is wrong, or wait for the server, and commit again; no file
        is sent twice. Only ``UploadEnded`` and ``UploadNotFound`` are final.

        Raises:
            Unavailable, DeadlineExceeded, StorageFailed: the answer did not come, or an upload failed so. Where
                the message says that the outcome is not known, the version may have been committed; the same commit
                again returns it.
            SchemaViolated, and what else the server refuses: nothing is visible. Points of metrics that it refused are
                dropped, which is raised once.
            SourceChanged, SourceUnreadable: a file was not what it was when it was added; the next commit takes it as
                it is then.
            WeighbridgeError: an upload failed; nothing is visible.
        """
        self._require_open()
        files = self._added.files()
        self._metrics.flush()
        try:
            version = self._commit(files)
        except ChunksMissing:  # found damaged since they were brought: what lacks is sent again, once
            self._files.forget()
            files = self._added.again()
            version = self._commit(files)
        self._end()
        self.result = Pushed(
            version=version,
            bytes_total=sum(file.size_bytes for file in files),
            bytes_sent=self._files.counts.bytes_sent,
            chunks_total=sum(len(file.chunks) for file in files),
            chunks_sent=self._files.counts.chunks_sent,
            seconds=time.monotonic() - self._began,
        )
        return self.result

    def _commit(self, files: list[FileManifest]) -> Version:
        manifest = manifest_digest(files)
        record = self._record if self._capture is None else self._capture.onto(self._record)
        request = versions_pb2.CommitVersionRequest(
            upload_id=self._upload.upload_id,
            manifest_digest=format_digest(manifest),
            record=convert.record_message(record),
        )
        try:
            answer = self._connection.call(self._connection.versions.CommitVersion, request, given_up=self._given_up)
        except (Unavailable, DeadlineExceeded, StorageFailed) as fault:
            raise type(fault)(
                f"{fault.message}. The outcome of the commit is not known: 'weighbridge versions {self._model}' tells",
                details=fault.details,
            ) from fault
        version = convert.version_value(answer)
        stated = version.model, version.ref, version.manifest
        if stated != (self._model, version_ref(self._model, version.version), manifest):
            raise DataLoss(
                f"{self._connection.address} was to commit {self._model} with the manifest {format_digest(manifest)}; "
                f"it answers {version.ref[:80]!r} with {format_digest(version.manifest)}"
            )
        return version

    def abort(self) -> None:
        """Gives the version up. What was uploaded is kept for a day, so that a next try need not send it."""
        if self._elsewhere:
            self._require_open()
        self._given_up.set()
        self._end()
        try:
            request = versions_pb2.AbortVersionRequest(upload_id=self._upload.upload_id)
            abort = self._connection.versions.AbortVersion
            self._connection.call(abort, request, tried_again=False, limit_s=_ABORT_LIMIT_S)
        except WeighbridgeError:
            return  # the lease runs out by itself, and the caller has an error of its own to see

    def _end(self) -> None:
        self._over = _OVER
        self._lease.let_go()
        self._metrics.end(UsageError(_OVER))
        self._added.end()

    def __enter__(self) -> VersionInProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._elsewhere and error is None:
            self._require_open()
        if self._over is not None:
            return
        if error is not None:
            self.abort()
            return
        try:
            self.commit()
        except Exception as fault:
            if isinstance(fault, _UNUSABLE) or self._given_up.is_set():
                self.abort()
                raise
            # What was trained for days is not thrown away for a tag, or for a server that is away for an hour.
            self._leave_open()
            fault.add_note(_what_now(fault))
            raise
        except BaseException:
            self.abort()
            raise

    def _leave_open(self) -> None:
        """Nobody may come back: nothing keeps the upload from running out. The next call opens it again."""
        self._lease.let_go()
        self._metrics.pause()


_UNUSABLE = (UploadEnded, UploadNotFound, UsageError)
"""What a commit fails with for good. Of the last: the client is closed."""

_OVER = "the version was committed or given up; begin another"
_ELSEWHERE = (
    "a version in progress belongs to the process that began it, and this process was forked from that one. Return the "
    "values to it, or hand them over in a multiprocessing.Queue, and log, add and commit there"
)


def _what_now(fault: Exception) -> str:
    """What to do about a commit that failed."""
    if isinstance(fault, WeighbridgeError) and fault.retryable:
        what = "when the server is back, call its commit() again, and only what it lacks is sent"
    elif isinstance(fault, SourceChanged | SourceUnreadable):
        what = "when nothing writes to the files any more, call its commit(), which sends them as they are then"
    else:
        what = "mend what is wrong (add, set_tags, log_metric, …) and call its commit(), and nothing is sent again"
    return f"The upload stays open for a day: {what}; or call its abort()."


def _sum(before: float | None, more: float | None) -> float | None:
    return more if before is None else before + (more or 0.0)
