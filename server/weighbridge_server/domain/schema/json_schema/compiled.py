"""A schema from its text: read, checked, compiled once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema.exceptions import ValidationError

from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge_server.domain.schema.json_schema.keywords import Evaluation, Validator
from weighbridge_server.domain.schema.json_schema.patterns import is_in
from weighbridge_server.domain.schema.json_schema.reading import read_schema
from weighbridge_server.domain.schema.json_schema.wording import violation_of

_MOST_ERRORS = 1000
"""Several of them may say the same: a schema can ask twice."""


@dataclass(frozen=True)
class CompiledSchema:
    """Safe to use from several threads."""

    validator: Any
    targets: Mapping[str, Any]
    """What each ``$ref`` stands for."""
    name_pattern: str | None
    """What names under the prefix must match instead of being ``project.task.architecture``."""

    def violations(self, document: Mapping[str, Any], *, pending: bool = False) -> list[Violation]:
        """Everything that breaks the schema, at most 1000 things. ``pending``: parts of the document are ``PENDING``.

        Raises:
            LimitExceeded: it takes too many steps to find out.
        """
        errors = Evaluation(self.targets, pending=pending).errors(self.validator, document, _MOST_ERRORS)
        found = (violation_of(error) for error in errors if not (pending and _of_pending(error)))
        return list(dict.fromkeys(found))

    def takes_name(self, name: str) -> bool:
        """Whether its pattern of names lets this one be; without such a pattern any."""
        return self.name_pattern is None or is_in(name, self.name_pattern)


def compile_schema(text: str) -> CompiledSchema:
    """The schema of a text.

    Raises:
        InvalidRequest: it is not JSON, or not a JSON Schema that can be used; the violations say where.
    """
    try:
        schema, targets = read_schema(text)
    except RecursionError as fault:
        raise InvalidRequest(
            "the schema cannot be used", violations=[Violation("json_schema", "is nested too deeply")]
        ) from fault
    return CompiledSchema(Validator(schema), targets, _name_pattern(schema))


@lru_cache(32)
def compiled(text: str) -> CompiledSchema:
    """As ``compile_schema``, for what was compiled before. A text is at most 256 KiB, and 32 of them are kept."""
    return compile_schema(text)


@lru_cache(1)
def shipped_text() -> str:
    """The schema that the server ships, revision 0 of ``*``. A version keeps that it passed it: do not change it."""
    return (Path(__file__).parent / "shipped.json").read_text()


def _name_pattern(schema: Any) -> str | None:
    for name in ("properties", "model"):
        schema = schema.get(name) if isinstance(schema, dict) else None
    return schema.get("pattern") if isinstance(schema, dict) else None


def _of_pending(error: ValidationError) -> bool:
    path: Sequence[str | int] = error.absolute_path
    return bool(path) and path[0] in ("metrics", "files")
