"""``VersionService`` on the domain."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from weighbridge.core import limits
from weighbridge.core.digest import parse_digest
from weighbridge.v1 import records_pb2, versions_pb2, versions_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.comparison.comparisons import Comparisons
from weighbridge_server.domain.metrics.metrics import Metrics
from weighbridge_server.domain.registry.lineage import Lineages
from weighbridge_server.domain.registry.uploads import Uploads
from weighbridge_server.domain.registry.version_changes import VersionChanges
from weighbridge_server.domain.registry.versions import Versions
from weighbridge_server.services.actor import actor_of, caller_of
from weighbridge_server.services.answers import within_a_message

LIMITS = versions_pb2.Limits(
    chunk_bytes=limits.CHUNK_BYTES,
    digests_per_message=limits.DIGESTS_PER_MESSAGE,
    files_per_version=limits.FILES_PER_VERSION,
    chunks_per_version=limits.CHUNKS_PER_VERSION,
    path_bytes=limits.PATH_BYTES,
    record_bytes=limits.RECORD_BYTES,
    upload_credit_bytes=limits.UPLOAD_CREDIT_BYTES,
    metrics_per_version=limits.METRICS_PER_VERSION,
    metric_points_per_version=limits.METRIC_POINTS_PER_VERSION,
    metric_points_per_call=limits.METRIC_POINTS_PER_CALL,
)


class VersionServicer(versions_pb2_grpc.VersionServiceServicer):
    """See ``versions.proto``."""

    def __init__(
        self,
        uploads: Uploads,
        versions: Versions,
        metrics: Metrics,
        changes: VersionChanges,
        lineages: Lineages,
        comparisons: Comparisons,
    ) -> None:
        self._uploads = uploads
        self._versions = versions
        self._metrics = metrics
        self._changes = changes
        self._lineages = lineages
        self._comparisons = comparisons

    def BeginVersion(
        self, request: versions_pb2.BeginVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Upload:
        upload = self._uploads.begin(
            actor_of(context), request.request_id, request.model, convert.record_value(request.record)
        )
        return convert.upload_message(upload, LIMITS)

    def CommitVersion(
        self, request: versions_pb2.CommitVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Version:
        version = self._uploads.commit(
            actor_of(context),
            request.upload_id,
            parse_digest(request.manifest_digest),
            convert.record_value(request.record),
            [convert.metric_value(point) for point in request.metrics],
        )
        return convert.version_message(version)

    def AbortVersion(
        self, request: versions_pb2.AbortVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.AbortVersionResponse:
        self._uploads.abort(actor_of(context), request.upload_id)
        return versions_pb2.AbortVersionResponse()

    def RenewUpload(
        self, request: versions_pb2.RenewUploadRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Upload:
        return convert.upload_message(self._uploads.renew(actor_of(context), request.upload_id), LIMITS)

    def GetVersion(
        self, request: versions_pb2.GetVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Version:
        return convert.version_message(self._versions.get(request.ref))

    def ResolveVersion(
        self, request: versions_pb2.ResolveVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.ResolveVersionResponse:
        return convert.resolved_message(self._versions.resolve(request.ref))

    def ListVersions(
        self, request: versions_pb2.ListVersionsRequest, context: grpc.ServicerContext
    ) -> versions_pb2.ListVersionsResponse:
        versions, token = self._versions.list(
            request.model,
            request.manifest_digest,
            request.page_size,
            request.page_token,
            condition=request.filter,
            order_by=request.order_by,
            show_deleted=request.show_deleted,
            show_metrics=request.show_metrics,
            readable=caller_of(context).readable,
        )
        return versions_pb2.ListVersionsResponse(
            versions=[convert.version_message(version) for version in versions], next_page_token=token
        )

    def LogMetrics(
        self, request: versions_pb2.LogMetricsRequest, context: grpc.ServicerContext
    ) -> versions_pb2.LogMetricsResponse:
        points = (request.writer, request.first_sequence, [convert.curve_value(curve) for curve in request.curves])
        if request.WhichOneof("target") == "upload_id":
            last = self._metrics.log_to_upload(actor_of(context), request.upload_id, *points)
        else:
            last = self._metrics.log_to_version(actor_of(context), request.ref, *points)
        return versions_pb2.LogMetricsResponse(last_sequence=last)

    def GetMetrics(
        self, request: versions_pb2.GetMetricsRequest, context: grpc.ServicerContext
    ) -> Iterator[records_pb2.MetricCurve]:
        for part in self._metrics.read(request.ref, list(request.names), request.most_points):
            yield convert.curve_message(part)

    def UpdateVersion(
        self, request: versions_pb2.UpdateVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Version:
        version = self._changes.update(
            actor_of(context),
            request.request_id,
            request.ref,
            {name: convert.scalar_value(value) for name, value in sorted(request.set_tags.items())},
            request.remove_tags,
            request.description if request.HasField("description") else None,
        )
        return convert.version_message(version)

    def DeleteVersion(
        self, request: versions_pb2.DeleteVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Version:
        version = self._changes.delete(actor_of(context), request.request_id, request.ref, request.reason)
        return convert.version_message(version)

    def RestoreVersion(
        self, request: versions_pb2.RestoreVersionRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Version:
        return convert.version_message(self._changes.restore(actor_of(context), request.request_id, request.ref))

    def GetLineage(
        self, request: versions_pb2.GetLineageRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Lineage:
        readable = caller_of(context).readable
        if request.WhichOneof("origin") == "ref":
            direction = convert.direction_value(request.direction)
            lineage = self._lineages.of_version(request.ref, direction, request.depth, readable)
        else:
            lineage = self._lineages.of_dataset(request.dataset_digest, request.depth, readable)
        return convert.lineage_message(lineage)

    def CompareVersions(
        self, request: versions_pb2.CompareVersionsRequest, context: grpc.ServicerContext
    ) -> versions_pb2.Comparison:
        comparison = self._comparisons.compare(request.refs, request.lower_is_better, request.higher_is_better)
        return within_a_message(convert.comparison_message(comparison))
