"""A schema's text, read: JSON, then JSON Schema, then what of it can be used here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.limits import SCHEMA_BYTES
from weighbridge_server.domain.schema.json_schema.patterns import compile_pattern
from weighbridge_server.domain.schema.json_schema.wording import path_text, violation_of

MOST_NODES = 10_000
"""Objects and lists in one schema: some two seconds to check, as each may be a schema of its own."""
MOST_DEPTH = 64

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ONE = frozenset(
    "additionalProperties contains contentSchema else if items not propertyNames then unevaluatedItems "
    "unevaluatedProperties".split()
)
_LIST = frozenset("allOf anyOf oneOf prefixItems".split())
_NAMED = frozenset("$defs definitions dependentSchemas patternProperties properties".split())
"""The keywords that have a schema, a list of schemas, or schemas by name."""
_REFUSED = {
    "$dynamicRef": "is not supported; refer to it with $ref",
    "$vocabulary": "is not supported: a schema has the vocabularies of draft 2020-12",
}


def read_schema(text: str) -> tuple[Any, dict[str, Any]]:
    """The schema, fit for ``keywords.Validator``, and what each ``$ref`` in it stands for.

    Raises:
        InvalidRequest: with one violation for each thing that is wrong.
        RecursionError: it is nested too deeply.
    """
    _refuse(_too_large(text))
    try:
        given = json.loads(text, object_pairs_hook=_each_name_once, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno} column {fault.colno}"
        _refuse([Violation("json_schema", f"is not JSON at {where}: {fault.msg}. A schema is JSON, not YAML")])
    except ValueError as fault:
        _refuse([Violation("json_schema", f"is not JSON: {fault}")])
    _refuse(_too_intricate(given))
    _refuse(violation_of(error, whole="json_schema", about=False) for error in _meta_errors(given))
    rebuilding = _Rebuilding()
    schema = rebuilding.schema(given, ())
    return schema, rebuilding.targets(schema)


def _refuse(violations: Iterator[Violation] | list[Violation]) -> None:
    listed = list(dict.fromkeys(violations))[:100]
    if listed:
        raise InvalidRequest("the schema cannot be used", violations=listed)


def _too_large(text: str) -> list[Violation]:
    size_bytes = len(text.encode())
    if size_bytes <= SCHEMA_BYTES:
        return []
    return [Violation("json_schema", f"has {size_bytes} bytes; a schema has at most {SCHEMA_BYTES}")]


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the member {twice[:80]!r} twice")
    return members


def _no_constant(constant: str) -> None:
    raise ValueError(f"it has no {constant}")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:80]} is larger than a double can be")
    return number


def _too_intricate(given: Any) -> list[Violation]:
    """Walked without recursion, before anything that recurses sees it."""
    nodes, layer = 0, [given]
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for node in layer:
            nodes += isinstance(node, dict | list)
            texts: list[Any] = [node]
            if isinstance(node, dict):
                inner += node.values()
                texts = list(node)
            elif isinstance(node, list):
                inner += node
            if any(isinstance(text, str) and not _is_unicode(text) for text in texts):
                return [Violation("json_schema", "has a text that is not valid Unicode: half of a surrogate pair")]
        layer = inner
        if nodes > MOST_NODES:
            return [Violation("json_schema", f"has more than {MOST_NODES} objects and lists")]
        if not layer:
            return []
    return [Violation("json_schema", f"is nested deeper than {MOST_DEPTH} levels")]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _meta_errors(given: Any) -> Iterator[Any]:
    said = given.get("$schema") if isinstance(given, dict) else None
    if isinstance(said, str) and said.rstrip("#") != _DIALECT:
        _refuse([Violation("$schema", f"is {said[:200]!r}; leave it out, or write {_DIALECT!r}")])
    return Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(given)


def _in_place(schema: Any, targets: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas that a schema holds against the very value that it is held against."""
    applied = [targets[schema["$ref"]]] if schema.get("$ref") in targets else []
    applied += [schema[name] for name in ("not", "if", "then", "else") if name in schema]
    applied += [each for name in ("allOf", "anyOf", "oneOf") for each in schema.get(name, ())]
    applied += schema.get("dependentSchemas", {}).values()
    return (each for each in applied if isinstance(each, dict))


class _Rebuilding:
    """Copies a schema without what only says what it is; finds what cannot be used."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._refs: dict[str, tuple[str | int, ...]] = {}
        self._schemas: dict[int, Any] = {}

    def schema(self, given: Any, path: tuple[str | int, ...]) -> Any:
        """The copy of one schema and of those in it."""
        if not isinstance(given, dict):
            # Of false the library does not say where; these two say it here.
            spoken_for = path[-1:] in ((), ("additionalProperties",), ("unevaluatedProperties",))
            return given if given is not False or spoken_for else {"not": {}}
        copy: dict[str, Any] = {}
        # Last, as in the standard: what other keywords took longer than they may over does not come to them.
        for name in sorted(given, key=lambda name: name.startswith("unevaluated")):
            value, at = given[name], (*path, name)
            if name in ("$schema", "$id"):
                if path:
                    self._wrong(at, "belongs to the root of a schema: it is one document")
                continue
            if name in _REFUSED:
                self._wrong(at, _REFUSED[name])
            elif name == "$ref":
                self._refs.setdefault(value, at)
            elif name == "pattern":
                self._pattern(value, at)
            elif name == "patternProperties":
                for pattern in value:
                    self._pattern(pattern, (*at, pattern))
            if name in _ONE:
                copy[name] = self.schema(value, at)
            elif name in _LIST:
                copy[name] = [self.schema(each, (*at, place)) for place, each in enumerate(value)]
            elif name in _NAMED and isinstance(value, dict):
                copy[name] = {key: self.schema(each, (*at, key)) for key, each in value.items()}
            else:
                copy[name] = value
        self._schemas[id(copy)] = copy
        return copy

    def targets(self, root: Any) -> dict[str, Any]:
        """What each ``$ref`` stands for. Nothing is fetched: it is in this schema or it is refused.

        Raises:
            InvalidRequest.
        """
        found: dict[str, Any] = {}
        resolver = Registry().with_resource("", DRAFT202012.create_resource(root)).resolver()
        for ref, at in self._refs.items():
            if not ref.startswith("#"):
                self._wrong(
                    at,
                    f"refers to another document, {ref[:200]!r}, and none is ever fetched; "
                    "copy what is needed into $defs and refer to it with #/$defs/NAME",
                )
                continue
            try:
                target = resolver.lookup(ref).contents
            except (Unresolvable, ValueError, TypeError, AttributeError, KeyError, IndexError):
                self._wrong(at, f"refers to {ref[:200]!r}, which is not there")
                continue
            if isinstance(target, bool) or id(target) in self._schemas:
                found[ref] = target
            else:
                self._wrong(at, f"refers to {ref[:200]!r}, which is no schema")
        self._refuse_endless(found)
        _refuse(self.violations)
        return found

    def _refuse_endless(self, targets: Mapping[str, Any]) -> None:
        """A schema that comes back to itself while it looks at one and the same value would never be done."""
        graph = {key: [id(each) for each in _in_place(schema, targets)] for key, schema in self._schemas.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as fault:
            refs = [self._schemas[key].get("$ref") for key in fault.args[1]]
            for ref in dict.fromkeys(ref for ref in refs if ref in targets):
                self._wrong(self._refs[ref], f"refers to {ref[:200]!r}, which leads back here without end")

    def _pattern(self, pattern: str, at: tuple[str | int, ...]) -> None:
        try:
            compile_pattern(pattern)
        except ValueError as fault:
            self._wrong(
                at,
                f"{pattern[:200]!r} cannot be read: {fault}. Patterns are RE2's, "
                "which have no look-around and no backreferences",
            )

    def _wrong(self, at: tuple[str | int, ...], what: str) -> None:
        self.violations.append(Violation(path_text(at), what))
