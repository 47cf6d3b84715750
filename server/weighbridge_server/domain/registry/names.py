"""What a model may be called: the pattern of the schema that governs the name, or ``project.task.architecture``."""

from __future__ import annotations

from weighbridge.core.errors import InvalidName, Violation
from weighbridge.core.refs import check_model_name, check_usual_name, prefixes_of
from weighbridge_server.domain.ports import Transaction
from weighbridge_server.domain.schema.json_schema import compiled


def check_new_name(tx: Transaction, name: str) -> None:
    """Checks what a model is to be called, or what no model is called. Models keep their names, whatever is set later.

    Raises:
        InvalidName.
    """
    check_model_name(name)
    schema = tx.schemas.first(prefixes_of(name))
    pattern = compiled(schema.json_schema or "").name_pattern if schema is not None else None
    if schema is None or pattern is None:
        check_usual_name(name)
    elif not compiled(schema.json_schema or "").takes_name(name):
        raise InvalidName(
            f"{name!r} is not a model name here: the schema of {schema.prefix}, revision {schema.revision}, "
            "sets the pattern of names",
            violations=[Violation("name", f"does not match {pattern[:200]}")],
        )
