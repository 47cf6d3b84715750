"""What the client keeps on this machine: one folder, which may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """``WEIGHBRIDGE_CACHE_DIR``, by default the platform's cache folder for weighbridge."""
    configured = os.environ.get("WEIGHBRIDGE_CACHE_DIR")
    return Path(configured) if configured else platformdirs.user_cache_path("weighbridge")
