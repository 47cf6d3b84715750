"""Requests against the rules that the protos state, before anything else looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import protovalidate
from google.protobuf.message import Message

from weighbridge.core.chunks import EncodedChunk
from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge_server.services.handlers import Handler, behaviour_of, with_behaviour
from weighbridge_server.services.interceptor import is_ours

_MOST_LISTED = 100
_LISTED_BYTES = 16 * 1024
"""A larger request is told the first rule that it breaks: 4 MiB hold two million wrong values, whose
violations would take gigabytes."""

_MOST_BYTES: Mapping[str, int] = {"/weighbridge.v1.VersionService/BeginVersion": 512 * 1024}
"""A record of 64 KiB as JSON is less than that as a message. What is far beyond it is not read at all: 4 MiB of empty
datasets are two million objects, of 200 MB."""

Request = TypeVar("Request", bound=Message)


class ValidationInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Refuses requests, and messages of streams, that break their rules."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped."""
        handler: Any = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not is_ours(method):
            return handler  # type: ignore[no-any-return]
        inner = behaviour_of(handler)

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            return inner(_incoming(handler, request), context)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            yield from inner(_incoming(handler, request), context)

        return with_behaviour(
            handler,
            many if handler.response_streaming else one,
            request_deserializer=bounded(method, handler.request_deserializer),
        )


def _incoming(handler: Any, request: Any) -> Any:
    return map(_valid, request) if handler.request_streaming else validate(request)


def _valid(request: Message | EncodedChunk) -> Message | EncodedChunk:
    return request if isinstance(request, EncodedChunk) else validate(request)


@dataclass(frozen=True)
class TooLarge:
    """In place of a request that was not read."""

    size_bytes: int
    most_bytes: int


def bounded(method: str, read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """What reads requests of a method, but for those that are too large for it."""
    most_bytes = _MOST_BYTES.get(method)
    if most_bytes is None:
        return read
    return lambda data: read(data) if len(data) <= most_bytes else TooLarge(len(data), most_bytes)


def validate(request: Request | TooLarge) -> Request:
    """Returns the request when it keeps its rules.

    Raises:
        InvalidRequest: with one violation for each rule that it breaks, or the first for a large request.
    """
    if isinstance(request, TooLarge):
        raise InvalidRequest(
            f"the request is {request.size_bytes} bytes long; at most {request.most_bytes} are read",
            violations=[Violation("record", "is far larger than a version may record; push long texts as files")],
        )
    found = protovalidate.collect_violations(request, fail_fast=True)
    if not found:
        return request
    listed = request.ByteSize() <= _LISTED_BYTES
    if listed:
        found = protovalidate.collect_violations(request)
    violations = [
        Violation(_path(violation), violation.proto.message or violation.proto.rule_id)
        for violation in found[:_MOST_LISTED]
    ]
    raise InvalidRequest(
        f"{type(request).__name__} breaks {'' if listed else 'at least '}{len(found)} of the rules of its fields",
        violations=violations,
    )


def _path(violation: protovalidate.Violation) -> str:
    """``record.tags["owner"].string_value``, as people write it."""
    path = ""
    field = violation.proto.field
    for element in field.elements if field is not None else ():
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            value = subscript.value
            path += f'["{value}"]' if isinstance(value, str) else f"[{value}]"
    return path or "request"
