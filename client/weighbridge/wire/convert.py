"""Values to messages and back. Each pair of functions stands together; both sides use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from weighbridge.core import values
from weighbridge.core.chunks import ChunkRef, Codec, EncodedChunk
from weighbridge.core.digest import Digest, format_digest, parse_digest
from weighbridge.core.errors import ChunkMismatch, DataLoss, InvalidReference, Unimplemented
from weighbridge.core.manifest import FileManifest, FileSummary
from weighbridge.v1 import journal_pb2, models_pb2, records_pb2, transfer_pb2, versions_pb2

_RELATIONS: Mapping[values.Relation, records_pb2.Relation.ValueType] = {
    values.Relation.FINE_TUNED: records_pb2.RELATION_FINE_TUNED,
    values.Relation.DISTILLED: records_pb2.RELATION_DISTILLED,
    values.Relation.MERGED: records_pb2.RELATION_MERGED,
    values.Relation.QUANTIZED: records_pb2.RELATION_QUANTIZED,
}
_STAGES: Mapping[values.Stage, versions_pb2.Stage.ValueType] = {
    values.Stage.DEVELOPMENT: versions_pb2.STAGE_DEVELOPMENT,
    values.Stage.STAGING: versions_pb2.STAGE_STAGING,
    values.Stage.PRODUCTION: versions_pb2.STAGE_PRODUCTION,
    values.Stage.ARCHIVED: versions_pb2.STAGE_ARCHIVED,
}
_STAGES_BACK = {number: stage for stage, number in _STAGES.items()}


def time_message(time: datetime) -> Timestamp:
    """An aware datetime as a message."""
    message = Timestamp()
    message.FromDatetime(time.astimezone(UTC))
    return message


def time_value(message: Timestamp) -> datetime:
    """A message as a datetime in UTC.

    Raises:
        DataLoss: it is beyond the years 1 to 9999.
    """
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as fault:
        raise DataLoss(f"the server sent a time that is none: {message.seconds} s, {message.nanos} ns") from fault


def _digest_value(text: str, what: str) -> Digest:
    try:
        return parse_digest(text)
    except InvalidReference as fault:
        raise DataLoss(f"the server sent {text[:80]!r} as the digest of {what[:80]!r}") from fault


# -- records -----------------------------------------------------------------------------------


def scalar_message(value: values.Scalar) -> records_pb2.Value:
    """A typed value as a message."""
    if isinstance(value, bool):
        return records_pb2.Value(bool_value=value)
    if isinstance(value, int):
        return records_pb2.Value(int_value=value)
    if isinstance(value, float):
        return records_pb2.Value(double_value=value)
    return records_pb2.Value(string_value=value)


def scalar_value(message: records_pb2.Value) -> values.Scalar:
    """A message as a typed value."""
    kind = message.WhichOneof("kind") or "string_value"
    value: values.Scalar = getattr(message, kind)
    return value


def record_message(record: values.Record) -> records_pb2.Record:
    """A record as a message."""
    return records_pb2.Record(
        description=record.description,
        params={name: scalar_message(value) for name, value in record.params.items()},
        tags={name: scalar_message(value) for name, value in record.tags.items()},
        datasets=[
            records_pb2.Dataset(
                name=dataset.name,
                version=dataset.version,
                digest=dataset.digest,
                uri=dataset.uri,
                role=dataset.role,
            )
            for dataset in record.datasets
        ],
        parents=[records_pb2.Parent(ref=parent.ref, relation=_RELATIONS[parent.relation]) for parent in record.parents],
        source=None if record.source is None else _source_message(record.source),
        environment=None if record.environment is None else _environment_message(record.environment),
        signature=None if record.signature is None else _signature_message(record.signature),
        energy=None if record.energy is None else _energy_message(record.energy),
    )


def record_value(message: records_pb2.Record) -> values.Record:
    """A message as a record."""
    return values.Record(
        description=message.description,
        params={name: scalar_value(value) for name, value in sorted(message.params.items())},
        tags={name: scalar_value(value) for name, value in sorted(message.tags.items())},
        datasets=tuple(
            values.Dataset(dataset.name, dataset.version, dataset.digest, dataset.uri, dataset.role)
            for dataset in message.datasets
        ),
        parents=tuple(values.Parent(parent.ref, _relation_value(parent.relation)) for parent in message.parents),
        source=_source_value(message.source) if message.HasField("source") else None,
        environment=_environment_value(message.environment) if message.HasField("environment") else None,
        signature=_signature_value(message.signature) if message.HasField("signature") else None,
        energy=_energy_value(message.energy) if message.HasField("energy") else None,
    )


def _source_message(source: values.SourceCode) -> records_pb2.SourceCode:
    return records_pb2.SourceCode(
        repository=source.repository,
        commit=source.commit,
        branch=source.branch,
        dirty=source.dirty,
        diff_digest=source.diff_digest,
        untracked_digest=source.untracked_digest,
        entry_point=source.entry_point,
        command=source.command,
    )


def _source_value(message: records_pb2.SourceCode) -> values.SourceCode:
    return values.SourceCode(
        repository=message.repository,
        commit=message.commit,
        branch=message.branch,
        dirty=message.dirty,
        diff_digest=message.diff_digest,
        untracked_digest=message.untracked_digest,
        entry_point=message.entry_point,
        command=tuple(message.command),
    )


def _environment_message(environment: values.Environment) -> records_pb2.Environment:
    return records_pb2.Environment(
        python=environment.python,
        implementation=environment.implementation,
        os=environment.os,
        platform=environment.platform,
        cpu=environment.cpu,
        cpu_count=environment.cpu_count,
        accelerators=[
            records_pb2.Accelerator(name=device.name, memory_bytes=device.memory_bytes, driver=device.driver)
            for device in environment.accelerators
        ],
        container_image=environment.container_image,
        packages=environment.packages,
        packages_left_out=environment.packages_left_out,
        lock_file=environment.lock_file,
        lock_digest=environment.lock_digest,
        host=environment.host,
        user=environment.user,
    )


def _environment_value(message: records_pb2.Environment) -> values.Environment:
    return values.Environment(
        python=message.python,
        implementation=message.implementation,
        os=message.os,
        platform=message.platform,
        cpu=message.cpu,
        cpu_count=message.cpu_count,
        accelerators=tuple(
            values.Accelerator(device.name, device.memory_bytes, device.driver) for device in message.accelerators
        ),
        container_image=message.container_image,
        packages=dict(sorted(message.packages.items())),
        packages_left_out=message.packages_left_out,
        lock_file=message.lock_file,
        lock_digest=message.lock_digest,
        host=message.host,
        user=message.user,
    )


def _signature_message(signature: values.Signature) -> records_pb2.Signature:
    inputs, outputs = (
        [records_pb2.TensorSpec(name=spec.name, dtype=spec.dtype, shape=spec.shape) for spec in specs]
        for specs in (signature.inputs, signature.outputs)
    )
    return records_pb2.Signature(inputs=inputs, outputs=outputs)


def _signature_value(message: records_pb2.Signature) -> values.Signature:
    inputs, outputs = (
        tuple(values.TensorSpec(spec.name, spec.dtype, tuple(spec.shape)) for spec in specs)
        for specs in (message.inputs, message.outputs)
    )
    return values.Signature(inputs, outputs)


def _energy_message(energy: values.Energy) -> records_pb2.Energy:
    return records_pb2.Energy(kwh=energy.kwh, gco2e=energy.gco2e, region=energy.region, method=energy.method)


def _energy_value(message: records_pb2.Energy) -> values.Energy:
    return values.Energy(
        kwh=message.kwh if message.HasField("kwh") else None,
        gco2e=message.gco2e if message.HasField("gco2e") else None,
        region=message.region,
        method=message.method,
    )


def _relation_value(number: int) -> values.Relation:
    if number == records_pb2.RELATION_UNSPECIFIED:
        return values.Relation.FINE_TUNED
    for relation, known in _RELATIONS.items():
        if known == number:
            return relation
    raise Unimplemented(f"relation {number} of a parent is not known to this release; install a later one")


def metric_message(point: values.MetricPoint) -> records_pb2.MetricPoint:
    """A metric point as a message."""
    message = records_pb2.MetricPoint(name=point.name, step=point.step, value=point.value)
    if point.time is not None:
        message.time.CopyFrom(time_message(point.time))
    return message


def metric_value(message: records_pb2.MetricPoint) -> values.MetricPoint:
    """A message as a metric point."""
    time = time_value(message.time) if message.HasField("time") else None
    return values.MetricPoint(message.name, message.value, message.step, time)


# -- models and versions -----------------------------------------------------------------------


def model_message(model: values.Model) -> models_pb2.Model:
    """A model as a message."""
    return models_pb2.Model(
        name=model.name,
        creator=model.creator,
        owner=model.owner,
        description=model.description,
        created_time=time_message(model.created_time),
        latest_version=model.latest_version,
        team=model.team,
        contact=model.contact,
        card=model.card,
        deletion=None if model.deletion is None else deletion_message(model.deletion),
    )


def model_value(message: models_pb2.Model) -> values.Model:
    """A message as a model."""
    return values.Model(
        name=message.name,
        creator=message.creator,
        owner=message.owner,
        description=message.description,
        created_time=time_value(message.created_time),
        latest_version=message.latest_version,
        team=message.team,
        contact=message.contact,
        card=message.card if message.HasField("card") else None,
        deletion=deletion_value(message.deletion) if message.HasField("deletion") else None,
    )


def deletion_message(deletion: values.Deletion) -> models_pb2.Deletion:
    """A deletion as a message."""
    return models_pb2.Deletion(time=time_message(deletion.time), actor=deletion.actor, reason=deletion.reason)


def deletion_value(message: models_pb2.Deletion) -> values.Deletion:
    """A message as a deletion."""
    return values.Deletion(time_value(message.time), message.actor, message.reason)


def version_message(version: values.Version) -> versions_pb2.Version:
    """A version as a message."""
    return versions_pb2.Version(
        model=version.model,
        version=version.version,
        ref=version.ref,
        manifest_digest=format_digest(version.manifest),
        stage=_STAGES[version.stage],
        creator=version.creator,
        created_time=time_message(version.created_time),
        files_total=version.files_total,
        bytes_total=version.bytes_total,
        chunks_total=version.chunks_total,
        record=None if version.record is None else record_message(version.record),
        metrics=[
            records_pb2.MetricSummary(name=item.name, latest=item.latest, step=item.step, points=item.points)
            for item in version.metrics or ()
        ],
    )


def version_value(message: versions_pb2.Version) -> values.Version:
    """A message as a version.

    Raises:
        DataLoss: it has a digest or a time that is none.
        Unimplemented: it is in a stage of a later release.
    """
    stage = _STAGES_BACK.get(message.stage)
    if stage is None:
        raise Unimplemented(
            f"{message.ref[:80]!r} is in stage {message.stage}, which this release does not know; install a later one"
        )
    whole = message.HasField("record")
    return values.Version(
        model=message.model,
        version=message.version,
        ref=message.ref,
        manifest=_digest_value(message.manifest_digest, message.ref),
        stage=stage,
        creator=message.creator,
        created_time=time_value(message.created_time),
        files_total=message.files_total,
        bytes_total=message.bytes_total,
        chunks_total=message.chunks_total,
        record=record_value(message.record) if whole else None,
        metrics=tuple(values.MetricSummary(item.name, item.latest, item.step, item.points) for item in message.metrics)
        if whole
        else None,
    )


def resolved_message(resolved: values.Resolved) -> versions_pb2.ResolveVersionResponse:
    """A pinned reference as a message."""
    return versions_pb2.ResolveVersionResponse(
        model=resolved.model,
        version=resolved.version,
        ref=resolved.ref,
        manifest_digest=format_digest(resolved.manifest),
        revision=resolved.revision,
    )


def resolved_value(message: versions_pb2.ResolveVersionResponse) -> values.Resolved:
    """A message as a pinned reference. Raises: DataLoss, where its digest is none."""
    manifest = _digest_value(message.manifest_digest, message.ref)
    return values.Resolved(message.model, message.version, message.ref, manifest, message.revision)


def upload_message(upload: values.Upload, limits: versions_pb2.Limits) -> versions_pb2.Upload:
    """An upload as a message, with the server's limits."""
    return versions_pb2.Upload(
        upload_id=upload.upload_id,
        model=upload.model,
        lease_expires_time=time_message(upload.lease_expires_time),
        hard_expires_time=time_message(upload.hard_expires_time),
        limits=limits,
    )


def upload_value(message: versions_pb2.Upload) -> values.Upload:
    """A message as an upload."""
    return values.Upload(
        message.upload_id,
        message.model,
        time_value(message.lease_expires_time),
        time_value(message.hard_expires_time),
    )


# -- chunks and files --------------------------------------------------------------------------


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


# -- the journal -------------------------------------------------------------------------------


def event_message(event: values.Event) -> journal_pb2.Event:
    """An event as a message."""
    return journal_pb2.Event(
        revision=event.revision,
        time=time_message(event.time),
        actor=event.actor,
        action=event.action,
        resource=event.resource,
        before_json=event.before,
        after_json=event.after,
        previous_hash=event.previous_hash.hex(),
        hash=event.hash.hex(),
    )


def event_value(message: journal_pb2.Event) -> values.Event:
    """A message as an event. Raises: DataLoss, where its time or a hash is none."""
    return values.Event(
        revision=message.revision,
        time=time_value(message.time),
        actor=message.actor,
        action=message.action,
        resource=message.resource,
        before=message.before_json,
        after=message.after_json,
        previous_hash=event_hash_value(message.previous_hash, message.revision),
        hash=event_hash_value(message.hash, message.revision),
    )


def event_hash_value(text: str, revision: int) -> Digest:
    """A hash of the journal as its 32 bytes. Raises: DataLoss."""
    return _digest_value(f"b3:{text}", f"event {revision}")
