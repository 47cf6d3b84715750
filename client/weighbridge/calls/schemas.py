"""Schemas: setting and reading them, and holding versions against them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from weighbridge.calls.connected import Connected
from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.refs import check_prefix, parse_ref
from weighbridge.core.values import CheckedVersion, Schema
from weighbridge.v1 import lifecycle_pb2
from weighbridge.wire import convert

SchemaText = str | Mapping[str, Any]
"""JSON, or what becomes JSON."""


class SchemaCalls(Connected):
    """See ``Client``."""

    def set_schema(self, prefix: str, schema: SchemaText, *, expected_revision: int | None = None) -> Schema:
        """Makes a schema that of a prefix: versions of the models below it must pass it from now on.

        The longest prefix that has a schema governs a model, and no other counts. The text that a prefix has already
        changes nothing.

        Args:
            prefix: whole segments of names, such as ``fraud`` or ``fraud.tabular``; ``*``: all names.
            schema: JSON Schema, draft 2020-12; at most 256 KiB. What it is held against is described in SPEC.md.
            expected_revision: refused unless the prefix is at this revision; 0: unless none was set.

        Raises:
            RevisionConflict: it is at another; ``details`` say at which.
            InvalidName, InvalidRequest (where the schema is wrong is in the violations), LimitExceeded.
        """
        request = lifecycle_pb2.SetSchemaRequest(
            request_id=uuid.uuid4().hex,
            prefix=check_prefix(prefix),
            json_schema=_text(schema),
            expected_revision=expected_revision,
        )
        return convert.schema_value(self._connection.call(self._connection.lifecycle.SetSchema, request))

    def schema(self, name: str, revision: int | None = None) -> Schema:
        """The schema that governs a model or prefix; with ``revision`` that one of exactly this prefix.

        Raises:
            InvalidName, SchemaNotFound.
        """
        request = lifecycle_pb2.GetSchemaRequest(name=check_prefix(name), revision=revision)
        return convert.schema_value(self._connection.call(self._connection.lifecycle.GetSchema, request))

    def schemas(self) -> list[Schema]:
        """The present schema of every prefix in order of prefix, without their texts."""
        request = lifecycle_pb2.ListSchemasRequest()
        answer = self._connection.call(self._connection.lifecycle.ListSchemas, request)
        return [convert.schema_value(message) for message in answer.schemas]

    def check_schema(self, target: str, schema: SchemaText | None = None) -> Iterator[CheckedVersion]:
        """Holds committed versions against a schema, and says of each what breaks it.

        Args:
            target: a reference to one version, such as ``fraud.tabular.transformer:7``, or a model or prefix, whose
                versions are all looked at.
            schema: one that is not set; by default for each version the one that governs its model now.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound, SchemaNotFound.
        """
        if any(mark in target for mark in ":@#"):
            parse_ref(target)
        else:
            check_prefix(target)
        text = "" if schema is None else _text(schema)
        request = lifecycle_pb2.CheckSchemaRequest(target=target, json_schema=text)
        return map(convert.checked_value, self._connection.stream(self._connection.lifecycle.CheckSchema, request))


def _text(schema: SchemaText) -> str:
    text = schema if isinstance(schema, str) else json.dumps(schema, indent=2, ensure_ascii=False)
    if not text.strip():
        raise InvalidRequest(
            "the schema is empty; {} is one that asks for nothing", violations=[Violation("json_schema", "is empty")]
        )
    return text
