"""A committed version's later life: its tags and description, deleting and restoring it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from weighbridge.calls.connected import Connected
from weighbridge.core.errors import UsageError
from weighbridge.core.record_check import check_record_update
from weighbridge.core.refs import parse_ref
from weighbridge.core.scalars import plain
from weighbridge.core.values import Scalar, Version
from weighbridge.core.version_check import check_version_deletion, numbered_ref
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert


class VersionChangeCalls(Connected):
    """See ``Client``."""

    def update_version(
        self,
        ref: str,
        *,
        set_tags: Mapping[str, Scalar] | None = None,
        remove_tags: Sequence[str] = (),
        description: str | None = None,
    ) -> Version:
        """Changes a version's tags and its description: what is given, and nothing else. Returns it as it is then.

        Everything else that a version records is as it was committed, for good.

        Args:
            ref: any reference.
            set_tags: are added, or have their value replaced.
            remove_tags: are removed; one that is not there is passed over.
            description: in place of the one that is there; an empty one clears it.

        Raises:
            InvalidRequest: nothing is given, or a tag cannot be recorded.
            LimitExceeded: the record would be longer than 64 KiB.
            SchemaViolated: the tags that result break the schema that the version passed.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound.
        """
        if isinstance(remove_tags, str):
            raise UsageError(f"remove_tags is a list of names, such as [{remove_tags!r}]")
        parse_ref(ref)
        set_tags = plain(set_tags)
        check_record_update(set_tags, remove_tags, description)
        request = versions_pb2.UpdateVersionRequest(
            request_id=uuid.uuid4().hex,
            ref=ref,
            set_tags={name: convert.scalar_message(value) for name, value in set_tags.items()},
            remove_tags=remove_tags,
            description=description,
        )
        return convert.version_value(self._connection.call(self._connection.versions.UpdateVersion, request))

    def delete_version(self, ref: str, *, reason: str) -> Version:
        """Hides a version until ``restore_version``, or for good once the server's retention time is over.

        Its number is never used again, and it stays, marked, in the lineage of others.

        Args:
            ref: any reference.
            reason: why, at most 1024 characters; whoever looks for the version is told.

        Raises:
            VersionInUse: something holds it: its stage, a version that was made from it, an upload that names it as a
                parent; one violation a holder.
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound.
        """
        parse_ref(ref)
        check_version_deletion(reason)
        request = versions_pb2.DeleteVersionRequest(request_id=uuid.uuid4().hex, ref=ref, reason=reason)
        return convert.version_value(self._connection.call(self._connection.versions.DeleteVersion, request))

    def restore_version(self, ref: str) -> Version:
        """Brings a deleted version back as it was; ``ref`` is ``name:number``.

        Raises:
            VersionDeleted: it was purged; its files are gone for good.
            WrongState: it is not deleted.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound.
        """
        numbered_ref(ref)
        request = versions_pb2.RestoreVersionRequest(request_id=uuid.uuid4().hex, ref=ref)
        return convert.version_value(self._connection.call(self._connection.versions.RestoreVersion, request))
