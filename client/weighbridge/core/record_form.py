"""A record as the members of a JSON object, and back: the form that is stored, hashed and limited.

A parameter or tag is an object of its kind and value (``{"double": 1}``), since JSON alone does not keep 1.0 apart
from 1. The parts ``source``, ``environment``, ``signature`` and ``energy`` are there only where they were recorded,
and of each only the members that say something: a text from before a part or member was thought of stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from weighbridge.core.limits import RECORD_BYTES, record_too_long
from weighbridge.core.values import (
    Accelerator,
    Dataset,
    Energy,
    Environment,
    Parent,
    Record,
    Relation,
    Scalar,
    Signature,
    SourceCode,
    TensorSpec,
)

_LONGEST_DOUBLE = 25
"""Bytes of the longest canonical number: ``-1.2345678901234567e-300`` has 24."""
_DOUBLE_SHORTENED = 5
"""Most bytes that a canonical number has less than Python's: ``1.2345678901234568e+16`` is ``12345678901234568``."""


def record_members(record: Record) -> dict[str, Any]:
    """The JSON object of a record that was checked."""
    members: dict[str, Any] = {
        "description": record.description,
        "params": {name: _tagged(value) for name, value in record.params.items()},
        "tags": {name: _tagged(value) for name, value in record.tags.items()},
        "datasets": [asdict(dataset) for dataset in record.datasets],
        "parents": [{"ref": parent.ref, "relation": str(parent.relation)} for parent in record.parents],
    }
    for name in ("source", "environment", "signature", "energy"):
        part = getattr(record, name)
        if part is not None:
            members[name] = _said(part)
    return members


def record_of(members: Mapping[str, Any]) -> Record:
    """The record of a JSON object that ``record_members`` made, in this release or an earlier one."""
    source, environment = members.get("source"), members.get("environment")
    signature, energy = members.get("signature"), members.get("energy")
    return Record(
        description=members["description"],
        params=_scalars(members["params"]),
        tags=_scalars(members["tags"]),
        datasets=tuple(Dataset(**dataset) for dataset in members["datasets"]),
        parents=tuple(Parent(parent["ref"], Relation(parent["relation"])) for parent in members["parents"]),
        source=None if source is None else SourceCode(**{**source, "command": tuple(source.get("command", ()))}),
        environment=None if environment is None else _environment(environment),
        signature=None
        if signature is None
        else Signature(*(tuple(map(_tensor, signature.get(side, ()))) for side in ("inputs", "outputs"))),
        energy=None if energy is None else _energy(energy),
    )


def most_record_bytes(record: Record) -> int:
    """How long the canonical text of a record is at most; exact but for its doubles."""
    return _python_bytes(record) + _doubles(record) * _LONGEST_DOUBLE


def check_record_bytes(record: Record) -> None:
    """Refuses a record that is too long whatever the canonical form of its doubles; the server counts exactly.

    Raises:
        LimitExceeded: it is.
    """
    least = _python_bytes(record) - _doubles(record) * _DOUBLE_SHORTENED
    if least > RECORD_BYTES:
        raise record_too_long(least)


def _python_bytes(record: Record) -> int:
    """How long the text is with doubles as Python writes them."""
    return len(json.dumps(record_members(record), ensure_ascii=False, separators=(",", ":")).encode())


def _doubles(record: Record) -> int:
    """How many doubles there may be."""
    doubles = sum(isinstance(value, float) for values in (record.params, record.tags) for value in values.values())
    return doubles + 2 * (record.energy is not None)


def _said(value: Any) -> Any:
    """A value as JSON; of an object the members that are not empty, zero, false or unknown. 0.0 is a measurement."""
    if is_dataclass(value):
        named = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _said(item) for name, item in named if item or isinstance(item, float)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return [_said(item) for item in value]
    return value


def _environment(members: Mapping[str, Any]) -> Environment:
    accelerators = tuple(Accelerator(**device) for device in members.get("accelerators", ()))
    return Environment(**{**members, "accelerators": accelerators})


def _energy(members: Mapping[str, Any]) -> Energy:
    numbers = {name: float(members[name]) for name in ("kwh", "gco2e") if name in members}
    return Energy(**{**members, **numbers})


def _tensor(members: Mapping[str, Any]) -> TensorSpec:
    return TensorSpec(**{**members, "shape": tuple(members.get("shape", ()))})


def _tagged(value: Scalar) -> dict[str, Scalar]:
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": value}
    return {"double": value} if isinstance(value, float) else {"string": value}


def _scalars(stored: Mapping[str, dict[str, Any]]) -> dict[str, Scalar]:
    return {
        name: float(tagged["double"]) if "double" in tagged else next(iter(tagged.values()))
        for name, tagged in stored.items()
    }
