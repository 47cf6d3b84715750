"""Versions: finding them, and what they record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weighbridge.calls.connected import PAGE_SIZE, Connected
from weighbridge.core.limits import FILES_PER_VERSION, check_limit
from weighbridge.core.manifest import FileSummary
from weighbridge.core.refs import check_model_name, parse_ref
from weighbridge.core.values import Resolved, Version
from weighbridge.v1 import transfer_pb2, versions_pb2
from weighbridge.wire import convert


class VersionCalls(Connected):
    """See ``Client``."""

    def versions(self, model: str, *, deleted: bool = False) -> Iterator[Version]:
        """The committed versions of a model, newest first, without their records; with ``deleted`` the deleted ones.

        Raises:
            InvalidName, ModelNotFound, ModelDeleted.
        """
        check_model_name(model)

        def page(token: str) -> tuple[Sequence[versions_pb2.Version], str]:
            request = versions_pb2.ListVersionsRequest(
                model=model, page_size=PAGE_SIZE, page_token=token, show_deleted=deleted
            )
            answer = self._connection.call(self._connection.versions.ListVersions, request)
            return answer.versions, answer.next_page_token

        versions = map(convert.version_value, self._pages("versions", page))
        return (version for version in versions if (version.deletion is not None) is deleted)

    def version(self, ref: str) -> Version:
        """One version with its whole record.

        Raises:
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, AliasNotFound.
        """
        parse_ref(ref)
        request = versions_pb2.GetVersionRequest(ref=ref)
        return convert.version_value(self._connection.call(self._connection.versions.GetVersion, request))

    def resolve(self, ref: str) -> Resolved:
        """Which version a reference stands for now. Raises as ``version``."""
        parse_ref(ref)
        request = versions_pb2.ResolveVersionRequest(ref=ref)
        return convert.resolved_value(self._connection.call(self._connection.versions.ResolveVersion, request))

    def files(self, ref: str) -> Iterator[FileSummary]:
        """The files of a version in order of their paths. Raises as ``version``."""
        parse_ref(ref)
        request = transfer_pb2.GetManifestRequest(ref=ref, files_only=True)
        files_total = 0
        for response in self._connection.stream(self._connection.transfer.GetManifest, request):
            if response.WhichOneof("message") == "file":
                files_total += 1
                check_limit("files", files_total, FILES_PER_VERSION)
                yield convert.file_summary(response.file)
