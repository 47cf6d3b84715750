"""Canonical JSON (RFC 8785): the text that is hashed and stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rfc8785
from blake3 import blake3

from weighbridge.core.digest import Digest


def canonical_json(value: Mapping[str, Any]) -> str:
    """The one JSON text of a value."""
    return rfc8785.dumps(dict(value)).decode()


def json_digest(value: Mapping[str, Any]) -> Digest:
    """BLAKE3-256 of the canonical text: equal values, equal digests."""
    return blake3(rfc8785.dumps(dict(value))).digest()
