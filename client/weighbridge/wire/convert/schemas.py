"""Schemas, and versions that were held against one."""

from __future__ import annotations

from weighbridge.core import values
from weighbridge.core.errors import Violation
from weighbridge.v1 import lifecycle_pb2
from weighbridge.wire.convert.common import time_message, time_value
from weighbridge.wire.convert.versions import schema_revision_message, schema_revision_value


def schema_message(schema: values.Schema) -> lifecycle_pb2.Schema:
    """A schema as a message."""
    return lifecycle_pb2.Schema(
        prefix=schema.prefix,
        revision=schema.revision,
        json_schema=schema.json_schema or "",
        actor=schema.actor,
        set_time=None if schema.set_time is None else time_message(schema.set_time),
    )


def schema_value(message: lifecycle_pb2.Schema) -> values.Schema:
    """A message as a schema."""
    return values.Schema(
        prefix=message.prefix,
        revision=message.revision,
        json_schema=message.json_schema or None,
        actor=message.actor,
        set_time=time_value(message.set_time) if message.HasField("set_time") else None,
    )


def checked_message(checked: values.CheckedVersion) -> lifecycle_pb2.CheckedVersion:
    """A checked version as a message."""
    return lifecycle_pb2.CheckedVersion(
        ref=checked.ref,
        violations=[lifecycle_pb2.SchemaViolation(path=item.path, message=item.message) for item in checked.violations],
        schema=None if checked.schema is None else schema_revision_message(checked.schema),
    )


def checked_value(message: lifecycle_pb2.CheckedVersion) -> values.CheckedVersion:
    """A message as a checked version."""
    return values.CheckedVersion(
        ref=message.ref,
        violations=tuple(Violation(item.path, item.message) for item in message.violations),
        schema=schema_revision_value(message.schema) if message.HasField("schema") else None,
    )
