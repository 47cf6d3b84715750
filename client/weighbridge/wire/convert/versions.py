"""Versions and uploads."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.core import values
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import Unimplemented
from weighbridge.v1 import versions_pb2
from weighbridge.wire.convert.common import digest_value, time_message, time_value
from weighbridge.wire.convert.models import deletion_message, deletion_value
from weighbridge.wire.convert.records import record_message, record_value, summary_message, summary_value

_STAGES: Mapping[values.Stage, versions_pb2.Stage.ValueType] = {
    values.Stage.DEVELOPMENT: versions_pb2.STAGE_DEVELOPMENT,
    values.Stage.STAGING: versions_pb2.STAGE_STAGING,
    values.Stage.PRODUCTION: versions_pb2.STAGE_PRODUCTION,
    values.Stage.ARCHIVED: versions_pb2.STAGE_ARCHIVED,
}
_STAGES_BACK: Mapping[int, values.Stage] = {number: stage for stage, number in _STAGES.items()}


def stage_message(stage: values.Stage) -> versions_pb2.Stage.ValueType:
    """A stage as its number."""
    return _STAGES[stage]


def stage_value(number: int, ref: str = "") -> values.Stage:
    """A number as a stage; ``ref``: whose.

    Raises:
        Unimplemented: it is one of a later release.
    """
    stage = _STAGES_BACK.get(number)
    if stage is None:
        raise Unimplemented(f"{ref[:80]!r} is in stage {number}, which this release does not know; install a later one")
    return stage


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
        metrics=map(summary_message, version.metrics or ()),
        schema=None if version.schema is None else schema_revision_message(version.schema),
        deletion=None if version.deletion is None else deletion_message(version.deletion),
        purged_time=None if version.purged_time is None else time_message(version.purged_time),
        aliases=version.aliases,
    )


def version_value(message: versions_pb2.Version) -> values.Version:
    """A message as a version.

    Raises:
        DataLoss: it has a digest or a time that is none.
        Unimplemented: it is in a stage of a later release.
    """
    stage = stage_value(message.stage, message.ref)
    whole = message.HasField("record")
    return values.Version(
        model=message.model,
        version=message.version,
        ref=message.ref,
        manifest=digest_value(message.manifest_digest, message.ref),
        stage=stage,
        creator=message.creator,
        created_time=time_value(message.created_time),
        files_total=message.files_total,
        bytes_total=message.bytes_total,
        chunks_total=message.chunks_total,
        record=record_value(message.record) if whole else None,
        metrics=tuple(map(summary_value, message.metrics)) if whole or message.metrics else None,
        schema=schema_revision_value(message.schema) if message.HasField("schema") else None,
        deletion=deletion_value(message.deletion) if message.HasField("deletion") else None,
        purged_time=time_value(message.purged_time) if message.HasField("purged_time") else None,
        aliases=tuple(message.aliases),
    )


def schema_revision_message(revision: values.SchemaRevision) -> versions_pb2.SchemaRevision:
    """Which revision of a schema, as a message."""
    return versions_pb2.SchemaRevision(prefix=revision.prefix, revision=revision.revision)


def schema_revision_value(message: versions_pb2.SchemaRevision) -> values.SchemaRevision:
    """A message as which revision of a schema."""
    return values.SchemaRevision(message.prefix, message.revision)


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
    manifest = digest_value(message.manifest_digest, message.ref)
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
