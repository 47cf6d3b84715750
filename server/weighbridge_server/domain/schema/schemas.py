"""The schemas of prefixes: setting and reading them, and holding versions against them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blake3 import blake3

from weighbridge.core.digest import format_digest
from weighbridge.core.errors import (
    LimitExceeded,
    SchemaNotFound,
    SchemaViolated,
    Violation,
)
from weighbridge.core.refs import ALL_NAMES, check_prefix, prefixes_of
from weighbridge.core.values import CheckedVersion, Record, Schema, SchemaRevision, Version
from weighbridge_server.domain.access.callers import Readable, concerns
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.expected import check_expected
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.versions import find_version
from weighbridge_server.domain.registry.versions_below import versions_below
from weighbridge_server.domain.requests import once
from weighbridge_server.domain.schema.json_schema import (
    CompiledSchema,
    begun_document,
    compile_schema,
    compiled,
    shipped_text,
    version_document,
)

MOST_PREFIXES = 1000
"""They are listed in one message."""


class Schemas:
    """Schemas by prefix of names. The longest prefix that has one governs a name, and no other counts."""

    def __init__(self, catalog: Catalog, *, shipped: bool) -> None:
        """``shipped``: whether the schema that the server ships governs what no other does."""
        self._catalog = catalog
        self._shipped = shipped

    def set(self, actor: str, request_id: str, prefix: str, text: str, expected: int | None) -> Schema:
        """Makes a text the schema of a prefix; the text that it has already changes nothing.

        Raises:
            InvalidName, InvalidRequest, LimitExceeded, RevisionConflict, RequestIdReused.
        """
        check_prefix(prefix)
        compile_schema(text)
        payload = {"call": "SetSchema", "prefix": prefix, "text": text, "expected": str(expected)}
        with self._catalog.transaction(actor) as tx:
            revision = once(tx, request_id, payload, lambda: _set(tx, prefix, text, expected))
            return _existing(tx, SchemaRevision(prefix, int(revision)))

    def get(self, name: str, revision: int | None) -> Schema:
        """What governs a name or prefix; with ``revision`` that one of exactly this prefix.

        Raises:
            InvalidName, SchemaNotFound.
        """
        check_prefix(name)
        with self._catalog.transaction() as tx:
            if revision is not None:
                return _existing(tx, SchemaRevision(name, revision))
            schema = self.governing(tx, name)
        if schema is None:
            raise SchemaNotFound(
                f"no schema governs {name}; 'weighbridge schema set' sets one", details={"prefix": name}
            )
        return schema

    def list(self, readable: Readable = None) -> list[Schema]:
        """The present schema of every prefix that concerns what the caller reads, in order of prefix, without texts."""
        with self._catalog.transaction() as tx:
            schemas = tx.schemas.present()
        if self._shipped and not any(schema.prefix == ALL_NAMES for schema in schemas):
            schemas = sorted([Schema(ALL_NAMES, 0, None, "", None), *schemas], key=lambda schema: schema.prefix)
        return [schema for schema in schemas if concerns(readable, schema.prefix)]

    def governing(self, tx: Transaction, name: str) -> Schema | None:
        """What governs a name or prefix now."""
        schema = tx.schemas.first(prefixes_of(name))
        return _shipped() if schema is None and self._shipped else schema

    def check_begun(self, tx: Transaction, model: str, record: Record) -> None:
        """Holds what is known of a version at its begin against what governs its model.

        Raises:
            SchemaViolated: it breaks it, whatever its metrics and files will be.
        """
        schema = self.governing(tx, model)
        if schema is not None:
            found = _compiled(schema).violations(begun_document(model, record), pending=True)
            _refuse(f"what is recorded for {model}", schema, found, f"weighbridge schema get {model}")

    def govern(self, tx: Transaction, model: str) -> Schema | None:
        """As ``governing``, and nobody sets another until the transaction ends."""
        tx.schemas.lock(shared=True)
        return self.governing(tx, model)

    def check(self, target: str, text: str) -> Iterator[CheckedVersion]:
        """Holds versions against a schema: one by its reference, or those of a model or prefix, newest first.

        ``text``: a schema that is not set; empty: for each version what governs it.

        Raises:
            InvalidName, InvalidReference, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound, SchemaNotFound (nothing governs any of them), LimitExceeded.
        """
        given = compile_schema(text) if text else None
        governed = False
        for ref in versions_below(self._catalog, target):
            with self._catalog.transaction() as tx:
                version = find_version(tx, ref, whole=True)
                document = _document(tx, version)
                schema = None if given is not None else self.governing(tx, version.model)
            if given is not None:
                yield CheckedVersion(version.ref, given.violations(document), None)
            elif schema is not None:
                governed = True
                yield CheckedVersion(version.ref, _compiled(schema).violations(document), revision_of(schema))
        if given is None and not governed:
            self.get(re.split("[:@#]", target)[0], None)


def check_committed(tx: Transaction, version: Version, schema: Schema | None) -> None:
    """Holds a version, which the transaction has just added, against what governs it.

    Raises:
        SchemaViolated: the transaction must not commit.
    """
    if schema is not None:
        found = _compiled(schema).violations(_document(tx, version))
        _refuse(f"what is recorded for {version.model}", schema, found, f"weighbridge schema get {version.model}")


def check_change(tx: Transaction, before: Version, after: Version) -> None:
    """Holds a change of a committed version, both as a whole, against the schema revision that the version passed.

    What broke the schema before, such as a metric that came later, is not of this change.

    Raises:
        SchemaViolated.
    """
    if before.schema is None:
        return
    schema = _existing(tx, before.schema)
    known = _compiled(schema).violations(_document(tx, before))
    found = [each for each in _compiled(schema).violations(_document(tx, after)) if each not in known]
    shown_by = f'weighbridge schema get "{schema.prefix}" --revision {schema.revision}'
    _refuse(f"the change of {after.ref}", schema, found, shown_by)


def _document(tx: Transaction, version: Version) -> dict[str, object]:
    assert version.record is not None, "the caller read the whole version"
    files = tx.versions.files(version.model, version.version)
    return version_document(version.model, version.record, version.metrics or (), files)


def _refuse(what: str, schema: Schema, violations: list[Violation], shown_by: str) -> None:
    if violations:
        raise SchemaViolated(
            f"{what} breaks the schema of {schema.prefix}, revision {schema.revision}, which '{shown_by}' shows",
            violations=violations,
            details={"prefix": schema.prefix, "revision": str(schema.revision)},
        )


def revision_of(schema: Schema) -> SchemaRevision:
    """Which one it is."""
    return SchemaRevision(schema.prefix, schema.revision)


def _compiled(schema: Schema) -> CompiledSchema:
    return compiled(schema.json_schema or "")


def _shipped() -> Schema:
    return Schema(ALL_NAMES, 0, shipped_text(), "", None)


def _existing(tx: Transaction, which: SchemaRevision) -> Schema:
    if which == SchemaRevision(ALL_NAMES, 0):
        return _shipped()
    schema = tx.schemas.get(which.prefix, which.revision)
    if schema is None:
        raise SchemaNotFound(
            f"the schema of {which.prefix} has no revision {which.revision}; 'weighbridge schema list' shows "
            "which prefixes have one, and their newest",
            details={"prefix": which.prefix, "revision": str(which.revision)},
        )
    return schema


def _set(tx: Transaction, prefix: str, text: str, expected: int | None) -> str:
    tx.schemas.lock(shared=False)
    before = tx.schemas.first([prefix])
    revision, value = (0, "") if before is None else (before.revision, _digest(before))
    check_expected(f"the schema of {prefix}", f"schema/{prefix}", revision, value, expected)
    if before is not None and before.json_schema == text:
        return str(before.revision)
    if before is None and len(tx.schemas.present()) >= MOST_PREFIXES:
        raise LimitExceeded(
            f"{MOST_PREFIXES} prefixes have a schema, and no more can; set one of a shorter prefix",
            details={"limit": str(MOST_PREFIXES), "actual": str(MOST_PREFIXES + 1)},
        )
    after = tx.schemas.add(prefix, text)
    states = ("" if schema is None else _state(schema) for schema in (before, after))
    tx.record(Change("schema.set", f"schema/{prefix}", *states))
    return str(after.revision)


def _state(schema: Schema) -> str:
    """What the journal says of a schema. The text, of up to 256 KiB, is kept beside it for good."""
    return canonical_json({"revision": schema.revision, "digest": _digest(schema)})


def _digest(schema: Schema) -> str:
    return format_digest(blake3((schema.json_schema or "").encode()).digest())
