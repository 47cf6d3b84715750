"""A version's record as the text that is stored and hashed: canonical JSON of ``core.record_form``."""

from __future__ import annotations

import json

from weighbridge.core.limits import RECORD_BYTES, record_too_long
from weighbridge.core.record_form import record_members, record_of
from weighbridge.core.values import Record
from weighbridge_server.domain.canonical import canonical_json


def record_text(record: Record) -> str:
    """The text of a record that was checked.

    Raises:
        LimitExceeded: it is longer than 64 KiB.
    """
    text = canonical_json(record_members(record))
    size_bytes = len(text.encode())
    if size_bytes > RECORD_BYTES:
        raise record_too_long(size_bytes)
    return text


def parse_record(text: str) -> Record:
    """The record of a stored text, of this release or an earlier one."""
    return record_of(json.loads(text))
