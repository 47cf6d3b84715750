"""Errors to ``google.rpc.Status`` and back, matched on the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from weighbridge.core import errors
from weighbridge.core.limits import STATUS_DETAILS_BYTES

DOMAIN = "weighbridge"

_MESSAGE_HEADER_BYTES = 1536
"""Most that a message may take, percent-encoded."""
_METADATA_BYTES = 1024
"""Most that the facts of an error may take together."""
_TEXT_BYTES = 512
"""Most of one fact, field path or description."""
_ENVELOPES_BYTES = 192
"""At least what is around a status's details, and the count of violations left out."""

_BY_CODE: dict[grpc.StatusCode, type[errors.WeighbridgeError]] = {
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Overloaded,
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
}
"""For statuses that gRPC itself made, or that have a reason from a later release."""

_ENDED_HERE = "Locally cancelled"
"""Begins what gRPC says of a call that this process itself ended."""

_CONNECT_FAILED = "Failed to connect to remote host: "
"""What gRPC puts before the operating system's words; most of what stands before it means nothing to people."""


def to_status(error: errors.WeighbridgeError) -> status_pb2.Status:
    """The status of an error: its code, message and details, 4 KiB in all."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code), message=_header_text(error.message))
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        status.details.add().Pack(retry)
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=error.reason, metadata=_metadata(error.details))
    room = STATUS_DETAILS_BYTES - status.ByteSize() - info.ByteSize() - _ENVELOPES_BYTES
    bad, left_out = _violations(error.violations, room)
    if left_out:
        info.metadata["violations_left_out"] = str(left_out)
    if bad.field_violations:
        status.details.add().Pack(bad)
    status.details.add().Pack(info)
    return status


def _header_text(message: str) -> str:
    """As much of a message as gRPC can carry.

    The message travels twice: within the status, and percent-encoded in a header of its own, where a byte
    of any script but ASCII takes three. Peers cap all headers together at 8 KiB.
    """
    room = _MESSAGE_HEADER_BYTES
    text = _valid(message[:_MESSAGE_HEADER_BYTES])
    for place, char in enumerate(text):
        room -= sum(1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3 for byte in char.encode())
        if room < 0:
            return text[:place]
    return text


def _metadata(details: Mapping[str, str]) -> dict[str, str]:
    """The facts of an error, each cut to 512 bytes, as many as fit."""
    room = _METADATA_BYTES
    metadata: dict[str, str] = {}
    for key, value in details.items():
        text = _clipped(str(value))
        room -= len(key.encode()) + len(text.encode()) + 16  # more than protobuf puts around them
        if room < 0:
            break
        metadata[key] = text
    return metadata


def _violations(violations: Sequence[errors.Violation], room: int) -> tuple[error_details_pb2.BadRequest, int]:
    """The violations that fit, and how many do not."""
    bad = error_details_pb2.BadRequest()
    for place, violation in enumerate(violations):
        bad.field_violations.add(field=_clipped(violation.path), description=_clipped(violation.message))
        if bad.ByteSize() > room:
            del bad.field_violations[-1]
            return bad, len(violations) - place
    return bad, 0


def _clipped(text: str) -> str:
    """The text as far as 512 bytes of UTF-8."""
    return _valid(text[:_TEXT_BYTES]).encode()[:_TEXT_BYTES].decode(errors="ignore")


def _valid(text: str) -> str:
    """The text with what UTF-8 cannot carry (halves of surrogate pairs, from file names) escaped."""
    return text.encode(errors="backslashreplace").decode()


def from_rpc_error(fault: grpc.RpcError, address: str) -> errors.WeighbridgeError:
    """The error that a failed call stands for; ``address`` is what was called, for the message."""
    if not isinstance(fault, grpc.Call):
        return errors.Unavailable(f"the call to {address} failed: {fault}")
    try:
        status = rpc_status.from_call(fault)
        info, violations, retry_after_s = _details(status or status_pb2.Status())
    except (ValueError, DecodeError):  # something on the way made or changed it
        return _without_details(fault, address)
    if status is not None and info is not None and info.domain == DOMAIN:
        cls = errors.BY_REASON.get(info.reason) or _BY_CODE.get(fault.code(), errors.WeighbridgeError)
        metadata = dict(info.metadata)
        error = cls(status.message, violations=violations, details=metadata, retry_after_s=retry_after_s)
        return _stated(error, fault.code(), info.reason)
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
            f"no Weighbridge server answers at {address} ({said.rpartition(_CONNECT_FAILED)[2]}). "
            "Start one with 'weighbridge serve', or name another with --server or WEIGHBRIDGE_SERVER"
        )
    if code is grpc.StatusCode.CANCELLED and _ENDED_HERE not in said:
        # A server that stops, or that saw a stream stand still, ends calls so. They may be made again.
        return errors.Unavailable(f"{address} ended the call before it was done")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.Unimplemented(f"what answers at {address} does not offer this call ({said})")
    cls = _BY_CODE.get(code, errors.WeighbridgeError)
    return _stated(cls(f"the call to {address} failed: {code.name}: {said}"), code, code.name)


def _stated(error: errors.WeighbridgeError, code: grpc.StatusCode, reason: str) -> errors.WeighbridgeError:
    """The error, which says the server's code and reason where it has none of its own."""
    if type(error) is errors.WeighbridgeError:
        error.code, error.reason = errors.Code[code.name], reason
    return error
