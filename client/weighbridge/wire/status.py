"""Errors to ``google.rpc.Status`` and back, matched on the reason."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from weighbridge.core import errors
from weighbridge.core.limits import STATUS_DETAILS_BYTES

DOMAIN = "weighbridge"

_BY_CODE: dict[grpc.StatusCode, type[errors.WeighbridgeError]] = {
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Overloaded,
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
}
"""For statuses that gRPC itself made, or that have a reason from a later release."""


def to_status(error: errors.WeighbridgeError) -> status_pb2.Status:
    """The status of an error: its code, message and details, the details within 4 KiB."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code), message=error.message[:STATUS_DETAILS_BYTES])
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        status.details.add().Pack(retry)
    metadata = {key: value[:512] for key, value in error.details.items()}
    fitting = _fitting(error.violations)
    if len(fitting) < len(error.violations):
        metadata["violations_left_out"] = str(len(error.violations) - len(fitting))
    if fitting:
        bad = error_details_pb2.BadRequest()
        for violation in fitting:
            bad.field_violations.add(field=violation.path, description=violation.message)
        status.details.add().Pack(bad)
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=error.reason, metadata=metadata)
    status.details.add().Pack(info)
    return status


def _fitting(violations: Sequence[errors.Violation]) -> list[errors.Violation]:
    """As many as leave room for the rest of the details."""
    room = STATUS_DETAILS_BYTES - 1024
    fitting = []
    for violation in violations:
        room -= len(violation.path.encode(errors="replace")) + len(violation.message.encode(errors="replace")) + 8
        if room < 0:
            break
        fitting.append(violation)
    return fitting


def from_rpc_error(fault: grpc.RpcError, address: str) -> errors.WeighbridgeError:
    """The error that a failed call stands for; ``address`` is what was called, for the message."""
    if not isinstance(fault, grpc.Call):
        return errors.Unavailable(f"the call to {address} failed: {fault}")
    try:
        status = rpc_status.from_call(fault)
    except (ValueError, DecodeError):
        status = None
    if status is not None:
        info, violations, retry_after_s = _details(status)
        if info is not None and info.domain == DOMAIN:
            cls = errors.BY_REASON.get(info.reason) or _BY_CODE.get(fault.code(), errors.InternalError)
            metadata = dict(info.metadata)
            return cls(status.message, violations=violations, details=metadata, retry_after_s=retry_after_s)
    return _without_details(fault, address)


def _details(
    status: status_pb2.Status,
) -> tuple[error_details_pb2.ErrorInfo | None, list[errors.Violation], float | None]:
    info: error_details_pb2.ErrorInfo | None = None
    violations: list[errors.Violation] = []
    retry_after_s: float | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations += [errors.Violation(item.field, item.description) for item in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
    return info, violations, retry_after_s


def _without_details(fault: grpc.Call, address: str) -> errors.WeighbridgeError:
    code, said = fault.code(), fault.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.Unavailable(
            f"no Weighbridge server answers at {address} ({said}). "
            "Start one with 'weighbridge serve', or name another with --server or WEIGHBRIDGE_SERVER"
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.Unimplemented(f"what answers at {address} does not offer this call ({said})")
    cls = _BY_CODE.get(code, errors.InternalError)
    return cls(f"the call to {address} failed: {code.name}: {said}")
