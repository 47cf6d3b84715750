"""Requests against the rules that the protos state."""

from __future__ import annotations

from typing import TypeVar

import protovalidate
from google.protobuf.message import Message

from weighbridge.core.errors import InvalidRequest, Violation

_MOST_LISTED = 100
_LISTED_BYTES = 16 * 1024
"""A larger request is told the first rule that it breaks: 4 MiB hold two million wrong values, whose
violations would take gigabytes."""

Request = TypeVar("Request", bound=Message)


def validate(request: Request) -> Request:
    """Returns the request when it keeps its rules.

    Raises:
        InvalidRequest: with one violation for each rule that it breaks, or the first for a large request.
    """
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
