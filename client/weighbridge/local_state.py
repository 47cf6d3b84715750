"""What the client keeps on this machine: one folder, which may be deleted at any time."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs

from weighbridge.core.errors import UsageError


def cache_dir() -> Path:
    """``WEIGHBRIDGE_CACHE_DIR``, by default the platform's cache folder for weighbridge."""
    configured = os.environ.get("WEIGHBRIDGE_CACHE_DIR")
    return Path(configured) if configured else platformdirs.user_cache_path("weighbridge")


DEFAULT_CACHE_LIMIT_BYTES = 20 * 10**9
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)B?", re.ASCII)


def cache_limit_bytes() -> int:
    """How much the chunk cache may take: ``WEIGHBRIDGE_CACHE_LIMIT``, such as ``50GB``; ``0`` turns it off.

    Raises:
        UsageError: the variable is not a size.
    """
    configured = os.environ.get("WEIGHBRIDGE_CACHE_LIMIT")
    if not configured:
        return DEFAULT_CACHE_LIMIT_BYTES
    match = _SIZE.fullmatch(configured.strip().upper())
    if match is None:
        raise UsageError(f"WEIGHBRIDGE_CACHE_LIMIT is {configured!r}, which is not a size such as 50GB, 500MB or 0")
    return int(match[1]) * _UNITS[match[2]]
