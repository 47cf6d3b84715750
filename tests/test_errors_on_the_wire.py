"""Every error crosses the wire as itself, with what it says, within what gRPC carries.

The error goes through a real server and a real channel whose only method raises it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core import errors
from weighbridge.core.errors import Violation, WeighbridgeError
from weighbridge.core.limits import STATUS_DETAILS_BYTES
from weighbridge.v1 import errors_pb2
from weighbridge.wire.status import DOMAIN, from_rpc_error, to_status

PROTO = Path(__file__).parents[1] / "protos" / "weighbridge" / "v1" / "errors.proto"
CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, WeighbridgeError) and cls is not WeighbridgeError
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
HEADERS_BYTES = 8 * 1024
"""What gRPC peers take by default, all trailers together."""

Carry = Callable[[status_pb2.Status], WeighbridgeError]


class Raising(grpc.GenericRpcHandler):
    """Answers any method with the status that its request holds."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The handler of every method."""
        return grpc.unary_unary_rpc_method_handler(self._fail)

    def _fail(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort_with_status(rpc_status.to_status(status_pb2.Status.FromString(request)))
        raise AssertionError("abort raises")


@pytest.fixture(scope="module")
def carry() -> Iterator[Carry]:
    """Sends a status through a server and back."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Raising()])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test/Raise")

        def carried(status: status_pb2.Status) -> WeighbridgeError:
            with pytest.raises(grpc.RpcError) as failed:
                call(status.SerializeToString(), timeout=30)
            return from_rpc_error(failed.value, address)

        yield carried
    server.stop(None).wait()


def enum_comments() -> dict[str, str]:
    """The comment of each value of ``ErrorReason``."""
    found = re.findall(r"((?:^ *//.*\n)+) *ERROR_REASON_(\w+) = \d+;", PROTO.read_text(), re.MULTILINE)
    return {name: re.sub(r"^ *// ?", "", comment, flags=re.MULTILINE) for comment, name in found}


def header_bytes(status: status_pb2.Status) -> int:
    """The size of the headers that carry a status, percent-encoded and in base64."""
    message = sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in status.message.encode())
    return int(message + (status.ByteSize() + 2) // 3 * 4 + 256)


def test_each_reason_is_one_class_and_one_value_of_the_protocol() -> None:
    reasons = [cls.reason for cls in CLASSES]
    assert len(set(reasons)) == len(reasons)
    assert {f"ERROR_REASON_{reason}" for reason in reasons} | {"ERROR_REASON_UNSPECIFIED"} == set(
        errors_pb2.ErrorReason.keys()
    )
    assert dict(errors.BY_REASON) == {cls.reason: cls for cls in CLASSES}


def test_the_protocol_states_each_reason_s_code() -> None:
    comments = enum_comments()
    assert comments.pop("UNSPECIFIED").startswith("Never sent.")
    assert {reason: comment.partition(".")[0] for reason, comment in comments.items()} == {
        cls.reason: cls.code.value for cls in CLASSES
    }


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_arrives_as_itself(carry: Carry, cls: type[WeighbridgeError]) -> None:
    sent = cls(
        "größer als 100 %: 模型 🚚\n",
        violations=[Violation("tags.größe", "ist leer"), Violation("a/b.bin", "is 3 bytes")],
        details={"digest": "b3:00", "path": "größe.bin"},
        retry_after_s=1.5,
    )
    status = to_status(sent)
    assert grpc.StatusCode[cls.code].value[0] == status.code
    got = carry(status)
    assert type(got) is cls
    assert (got.message, got.violations, got.details, got.retry_after_s) == (
        sent.message,
        sent.violations,
        sent.details,
        sent.retry_after_s,
    )


@given(message=TEXTS, field=TEXTS, value=TEXTS)
def test_any_text_survives(carry: Carry, message: str, field: str, value: str) -> None:
    violations = (Violation(field, message), Violation(field, value))
    got = carry(to_status(errors.ChunksMissing(message, violations=violations, details={"key": value})))
    assert type(got) is errors.ChunksMissing
    assert (got.message, got.violations, got.details) == (message, violations, {"key": value})


@pytest.mark.parametrize("text", ["x", "é", "漢", "🚚", "%", "\0", "\udc80"], ids=ascii)
def test_the_largest_error_arrives_within_the_limits(carry: Carry, text: str) -> None:
    error = errors.InvalidPath(
        text * 20_000,
        violations=[Violation(text * 30 + str(n), text * 60) for n in range(1000)],
        details={f"{n}": text * 20_000 for n in range(20)},
        retry_after_s=0.25,
    )
    status = to_status(error)
    assert status.ByteSize() <= STATUS_DETAILS_BYTES
    assert header_bytes(status) <= HEADERS_BYTES
    got = carry(status)
    assert type(got) is errors.InvalidPath
    assert got.retry_after_s == 0.25
    assert len(got.violations) + int(got.details["violations_left_out"]) == 1000
    assert got.violations
    assert got.message
    if text != "\udc80":
        assert error.message.startswith(got.message)
        assert got.violations == error.violations[: len(got.violations)]


def test_as_many_violations_arrive_as_fit(carry: Carry) -> None:
    error = errors.InvalidPath("no", violations=[Violation(f"weights/{n}", "is absolute") for n in range(1000)])
    status = to_status(error)
    got = carry(status)
    assert got.violations == error.violations[: len(got.violations)]
    assert got.details == {"violations_left_out": str(1000 - len(got.violations))}
    assert STATUS_DETAILS_BYTES * 3 / 4 < status.ByteSize() <= STATUS_DETAILS_BYTES


def test_a_violation_too_long_for_a_status_is_cut_and_kept(carry: Carry) -> None:
    got = carry(to_status(errors.InvalidPath("no", violations=[Violation("é" * 20_000, "is too long")])))
    assert got.violations == (Violation("é" * 256, "is too long"),)
    assert got.details == {}


def test_what_is_no_text_in_the_details_is_written_as_text(carry: Carry) -> None:
    sent = errors.LimitExceeded("no", details={"limit": 5, "path": None})  # type: ignore[dict-item]
    assert carry(to_status(sent)).details == {"limit": "5", "path": "None"}


def test_many_small_facts_stay_within_the_limits() -> None:
    details = {f"{n}": "" for n in range(2000)}
    assert to_status(errors.InternalError("x" * 5000, details=details)).ByteSize() <= STATUS_DETAILS_BYTES


def test_a_reason_of_a_later_release_is_an_error_of_its_code(carry: Carry) -> None:
    status = to_status(errors.InvalidName("a rule of tomorrow", violations=[Violation("a", "b")]))
    status.details[-1].Pack(error_details_pb2.ErrorInfo(domain=DOMAIN, reason="TOMORROW"))
    got = carry(status)
    assert type(got) is errors.InvalidRequest
    assert (got.message, got.violations) == ("a rule of tomorrow", (Violation("a", "b"),))


def test_a_reason_of_a_later_release_without_a_class_keeps_code_and_reason(carry: Carry) -> None:
    status = to_status(errors.ModelNotFound("no such policy"))
    status.details[-1].Pack(error_details_pb2.ErrorInfo(domain=DOMAIN, reason="QUOTA_EXHAUSTED"))
    got = carry(status)
    assert (type(got), got.code, got.reason) == (WeighbridgeError, "NOT_FOUND", "QUOTA_EXHAUSTED")


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlineExceeded),
        (grpc.StatusCode.UNIMPLEMENTED, errors.Unimplemented),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Overloaded),
        (grpc.StatusCode.UNKNOWN, errors.WeighbridgeError),
        (grpc.StatusCode.PERMISSION_DENIED, errors.WeighbridgeError),
    ],
)
def test_a_status_that_is_not_ours_is_an_error_of_its_code(
    carry: Carry, code: grpc.StatusCode, cls: type[WeighbridgeError]
) -> None:
    number = int(code.value[0])
    other = any_pb2.Any()
    other.Pack(error_details_pb2.ErrorInfo(domain="proxy.example", reason="MODEL_NOT_FOUND"))
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    for details in ([], [other], [broken]):
        got = carry(status_pb2.Status(code=number, message="said by another", details=details))
        assert (type(got), got.code) == (cls, code.name)
        assert "said by another" in got.message
