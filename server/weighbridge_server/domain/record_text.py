"""A version's record as the text that is stored and hashed.

Canonical JSON. A parameter or tag is an object of its kind and value (``{"double": 1}``), since JSON alone does
not keep 1.0 apart from 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from weighbridge.core.errors import LimitExceeded
from weighbridge.core.limits import RECORD_BYTES
from weighbridge.core.values import Dataset, Parent, Record, Relation, Scalar
from weighbridge_server.domain.canonical import canonical_json


def record_text(record: Record) -> str:
    """The text of a record that was checked.

    Raises:
        LimitExceeded: it is longer than 64 KiB.
    """
    text = canonical_json(
        {
            "description": record.description,
            "params": {name: _tagged(value) for name, value in record.params.items()},
            "tags": {name: _tagged(value) for name, value in record.tags.items()},
            "datasets": [asdict(dataset) for dataset in record.datasets],
            "parents": [{"ref": parent.ref, "relation": str(parent.relation)} for parent in record.parents],
        }
    )
    size_bytes = len(text.encode())
    if size_bytes > RECORD_BYTES:
        raise LimitExceeded(
            f"the record is {size_bytes} bytes long; at most {RECORD_BYTES} are kept. "
            "Push long texts and tables as files of the version",
            details={"limit": str(RECORD_BYTES), "actual": str(size_bytes)},
        )
    return text


def parse_record(text: str) -> Record:
    """The record of a stored text."""
    stored = json.loads(text)
    return Record(
        description=stored["description"],
        params=_scalars(stored["params"]),
        tags=_scalars(stored["tags"]),
        datasets=tuple(Dataset(**dataset) for dataset in stored["datasets"]),
        parents=tuple(Parent(parent["ref"], Relation(parent["relation"])) for parent in stored["parents"]),
    )


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
