"""``VersionService`` on the domain."""

from __future__ import annotations

import grpc

from weighbridge.core import limits
from weighbridge.core.digest import parse_digest
from weighbridge.v1 import versions_pb2, versions_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.uploads import Uploads
from weighbridge_server.domain.versions import Versions
from weighbridge_server.services.actor import actor_of

LIMITS = versions_pb2.Limits(
    chunk_bytes=limits.CHUNK_BYTES,
    digests_per_message=limits.DIGESTS_PER_MESSAGE,
    files_per_version=limits.FILES_PER_VERSION,
    chunks_per_version=limits.CHUNKS_PER_VERSION,
    path_bytes=limits.PATH_BYTES,
    record_bytes=limits.RECORD_BYTES,
    upload_credit_bytes=limits.UPLOAD_CREDIT_BYTES,
)


class VersionServicer(versions_pb2_grpc.VersionServiceServicer):
    """See ``versions.proto``."""

    def __init__(self, uploads: Uploads, versions: Versions) -> None:
        self._uploads = uploads
        self._versions = versions

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
            request.model, request.manifest_digest, request.page_size, request.page_token
        )
        return versions_pb2.ListVersionsResponse(
            versions=[convert.version_message(version) for version in versions], next_page_token=token
        )
