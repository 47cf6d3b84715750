"""Every error that Weighbridge raises on purpose, each with its code and reason stated once.

The same classes are raised by the server's domain, sent as ``google.rpc.Status`` and raised
again by the SDK, matched on ``reason``. Codes are the names of gRPC's status codes; this
module does not import grpc.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """The gRPC status codes in use, by name."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    CANCELLED = "CANCELLED"
    DATA_LOSS = "DATA_LOSS"
    INTERNAL = "INTERNAL"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong: where (a field path, a file path, a tag) and what."""

    path: str
    message: str


class WeighbridgeError(Exception):
    """Base of all errors raised on purpose.

    ``violations`` lists everything that is wrong, not the first thing. ``details`` holds the
    machine-readable facts (digests, paths, limits); both cross the wire. ``code`` and ``reason`` belong to
    the class; the base itself stands for a reason from a later release, and then has those of the server.
    """

    code: Code = Code.INTERNAL
    reason: str = "INTERNAL"
    passes: bool = False
    """Whether the cause may pass by itself."""

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later without a change; the SDK tries such calls again itself."""
        return self.passes or self.retry_after_s is not None

    def __init__(
        self,
        message: str,
        *,
        violations: Sequence[Violation] = (),
        details: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations)
        self.details = dict(details or {})
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """The message, and everything that is wrong: where nobody catches it, a log has all of it."""
        lines = [self.message, *(f"  {violation.path}: {violation.message}" for violation in self.violations)]
        left_out = self.details.get("violations_left_out")
        return "\n".join([*lines, f"  … and {left_out} more"] if left_out else lines)


class InternalError(WeighbridgeError):
    """A fault of ours; the message carries the id under which the server logged it."""


# -- what the caller asked for cannot be right -------------------------------------------------


class InvalidRequest(WeighbridgeError):
    """A field breaks its rule; one violation a field."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_REQUEST"


class InvalidName(WeighbridgeError):
    """A model name does not follow its pattern; the violations name the segments."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_NAME"


class InvalidReference(WeighbridgeError):
    """A reference cannot be read as ``name``, ``name:7``, ``name@alias`` or ``name#b3:<hex>``."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_REFERENCE"


class InvalidPath(WeighbridgeError):
    """Paths that no version may hold; one violation a path."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_PATH"


class LimitExceeded(WeighbridgeError):
    """More than the advertised limits allow."""

    code = Code.INVALID_ARGUMENT
    reason = "LIMIT_EXCEEDED"


class ChunkMismatch(WeighbridgeError):
    """An uploaded chunk is not what it says: digest, length, codec or frame."""

    code = Code.INVALID_ARGUMENT
    reason = "CHUNK_MISMATCH"


class ManifestMismatch(WeighbridgeError):
    """A root or manifest digest is not the one that its list gives."""

    code = Code.INVALID_ARGUMENT
    reason = "MANIFEST_MISMATCH"


class RequestIdReused(WeighbridgeError):
    """A ``request_id`` came again with another payload."""

    code = Code.INVALID_ARGUMENT
    reason = "REQUEST_ID_REUSED"


class SchemaViolated(WeighbridgeError):
    """The record breaks the schema of the model's name; one violation each, with its path in the record."""

    code = Code.INVALID_ARGUMENT
    reason = "SCHEMA_VIOLATED"


class InvalidExpression(WeighbridgeError):
    """A filter, an order or a rule cannot be read, or compares what cannot be; paths are ``line:column``.

    Where a call has several expressions, ``details`` say how many violations each field has; they stand in the order of
    the fields: ``filter``, ``order_by``.
    """

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_EXPRESSION"


class UsageError(WeighbridgeError):
    """A call to the SDK, a setting or a command-line value that cannot be right."""

    code = Code.INVALID_ARGUMENT
    reason = "USAGE"


# -- what the caller named is not there, or is there already -----------------------------------


class ModelNotFound(WeighbridgeError):
    """No model of that name."""

    code = Code.NOT_FOUND
    reason = "MODEL_NOT_FOUND"


class VersionNotFound(WeighbridgeError):
    """The model has no such committed version."""

    code = Code.NOT_FOUND
    reason = "VERSION_NOT_FOUND"


class AliasNotFound(WeighbridgeError):
    """The model has no such alias."""

    code = Code.NOT_FOUND
    reason = "ALIAS_NOT_FOUND"


class FileNotInVersion(WeighbridgeError):
    """The version holds no file at that path."""

    code = Code.NOT_FOUND
    reason = "FILE_NOT_FOUND"


class ChunkNotFound(WeighbridgeError):
    """The version holds no chunk of that digest."""

    code = Code.NOT_FOUND
    reason = "CHUNK_NOT_FOUND"


class UploadNotFound(WeighbridgeError):
    """No upload of that id was begun by this caller."""

    code = Code.NOT_FOUND
    reason = "UPLOAD_NOT_FOUND"


class ModelDeleted(WeighbridgeError):
    """The model was deleted, and its versions with it; says when, by whom, why and how to restore it."""

    code = Code.NOT_FOUND
    reason = "MODEL_DELETED"


class VersionDeleted(WeighbridgeError):
    """The version was deleted; the message says when, by whom, why, and whether it can be restored."""

    code = Code.NOT_FOUND
    reason = "VERSION_DELETED"


class SchemaNotFound(WeighbridgeError):
    """No schema governs the name, or there is no such revision of it."""

    code = Code.NOT_FOUND
    reason = "SCHEMA_NOT_FOUND"


class PolicyNotFound(WeighbridgeError):
    """No policy governs the name for that target, or there is no such revision of it."""

    code = Code.NOT_FOUND
    reason = "POLICY_NOT_FOUND"


class PrincipalNotFound(WeighbridgeError):
    """No principal, token or grant of that name or id."""

    code = Code.NOT_FOUND
    reason = "PRINCIPAL_NOT_FOUND"


class WebhookNotFound(WeighbridgeError):
    """No webhook of that id."""

    code = Code.NOT_FOUND
    reason = "WEBHOOK_NOT_FOUND"


class PrincipalExists(WeighbridgeError):
    """A principal of that name is there already."""

    code = Code.ALREADY_EXISTS
    reason = "PRINCIPAL_EXISTS"


class ModelExists(WeighbridgeError):
    """A model of that name is registered already, or was and is deleted."""

    code = Code.ALREADY_EXISTS
    reason = "MODEL_EXISTS"


# -- not now, or not in this state --------------------------------------------------------------


class UploadEnded(WeighbridgeError):
    """The upload was committed, was aborted, or its lease ran out."""

    code = Code.FAILED_PRECONDITION
    reason = "UPLOAD_ENDED"


class ChunksMissing(WeighbridgeError):
    """Chunks that a manifest or a commit needs are not held; send them (again)."""

    code = Code.FAILED_PRECONDITION
    reason = "CHUNKS_MISSING"


class ModelInUse(WeighbridgeError):
    """Something holds the model, so that it cannot be deleted; one violation a holder."""

    code = Code.FAILED_PRECONDITION
    reason = "MODEL_IN_USE"


class VersionInUse(WeighbridgeError):
    """Something holds the version, so that it cannot be deleted; one violation a holder."""

    code = Code.FAILED_PRECONDITION
    reason = "VERSION_IN_USE"


class WrongState(WeighbridgeError):
    """What was asked for does not follow from how things stand; the message says how they do."""

    code = Code.FAILED_PRECONDITION
    reason = "WRONG_STATE"


class RevisionConflict(WeighbridgeError):
    """Somebody else changed it first; ``details`` say what it is now: ``revision`` and ``value``."""

    code = Code.ABORTED
    reason = "REVISION_CONFLICT"


class PolicyRefused(WeighbridgeError):
    """Rules of a policy fail: one violation each, its path the rule's name, its message what the rule saw."""

    code = Code.FAILED_PRECONDITION
    reason = "POLICY_REFUSED"


class ApprovalNeeded(WeighbridgeError):
    """All rules of a policy pass, and approvals lack, which are asked for; ``details`` say how many."""

    code = Code.FAILED_PRECONDITION
    reason = "APPROVAL_NEEDED"


class Unauthenticated(WeighbridgeError):
    """The server asks for a token: none came, or one that is not known, was revoked or has expired."""

    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDenied(WeighbridgeError):
    """No grant of the caller allows it; the message says which role, where, would."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class RevisionAhead(WeighbridgeError):
    """The revision is ahead of the journal, as after a restore of a backup; ``details["newest"]`` is its newest."""

    code = Code.OUT_OF_RANGE
    reason = "REVISION_AHEAD"


class Overloaded(WeighbridgeError):
    """The server is full; try again after ``retry_after_s``."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "OVERLOADED"


class Unavailable(WeighbridgeError):
    """The server cannot be reached, or is stopping."""

    code = Code.UNAVAILABLE
    reason = "UNAVAILABLE"
    passes = True


class DeadlineExceeded(WeighbridgeError):
    """The call took longer than its deadline."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"
    passes = True


class Cancelled(WeighbridgeError):
    """The call was ended by its caller."""

    code = Code.CANCELLED
    reason = "CANCELLED"


class Unimplemented(WeighbridgeError):
    """The server does not offer this call: most often an older release."""

    code = Code.UNIMPLEMENTED
    reason = "UNIMPLEMENTED"


# -- bytes are not what they were ----------------------------------------------------------------


class DataLoss(WeighbridgeError):
    """Stored or received bytes differ from what was pushed; names the file and the chunk."""

    code = Code.DATA_LOSS
    reason = "DATA_LOSS"


class JournalBroken(WeighbridgeError):
    """An event of the journal was changed, removed, reordered or added; names the revision."""

    code = Code.DATA_LOSS
    reason = "JOURNAL_BROKEN"


class SourceChanged(WeighbridgeError):
    """A file changed while it was being pushed."""

    code = Code.FAILED_PRECONDITION
    reason = "SOURCE_CHANGED"


class SourceUnreadable(WeighbridgeError):
    """A file to be pushed is absent, unreadable or not a regular file."""

    code = Code.FAILED_PRECONDITION
    reason = "SOURCE_UNREADABLE"


class DestinationUnwritable(WeighbridgeError):
    """A pulled file cannot be written where it should go."""

    code = Code.FAILED_PRECONDITION
    reason = "DESTINATION_UNWRITABLE"


class StorageFailed(WeighbridgeError):
    """The server could not write or sync its store; what was not acknowledged must be sent again."""

    code = Code.UNAVAILABLE
    reason = "STORAGE_FAILED"
    passes = True


class StorageFull(WeighbridgeError):
    """The server has no space left; what was not acknowledged must be sent again once it has."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "STORAGE_FULL"


class StartupFailed(WeighbridgeError):
    """The server cannot start: a directory, a port, a database or a setting stands in the way."""

    code = Code.FAILED_PRECONDITION
    reason = "STARTUP_FAILED"


class SignatureInvalid(WeighbridgeError):
    """What claims to come from a webhook is not signed with its secret, or was signed too long ago."""

    code = Code.UNAUTHENTICATED
    reason = "SIGNATURE_INVALID"


def _subclasses(cls: type[WeighbridgeError]) -> Iterator[type[WeighbridgeError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


BY_REASON: Mapping[str, type[WeighbridgeError]] = {cls.reason: cls for cls in _subclasses(WeighbridgeError)}
"""Each reason's class: the table that carries an error over the wire and back."""
