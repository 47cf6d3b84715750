"""The lock file of the code's packages."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from weighbridge.core.digest import format_digest

NAMES = (
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "conda-lock.yml",
    "conda-lock.yaml",
    "requirements*.lock",
    "requirements.txt",
)
"""Patterns, the most exact kind first."""

_LARGEST_BYTES = 64 * 1024 * 1024


def find_lock(folder: Path, top: Path | None) -> tuple[str, str]:
    """Name and digest of the nearest lock file, from the folder up to ``top``; empty texts where there is none.

    Raises:
        OSError: it cannot be read.
    """
    for place in (folder, *folder.parents):
        for pattern in NAMES:
            for file in sorted(place.glob(pattern)):
                if file.is_file() and file.stat().st_size <= _LARGEST_BYTES:
                    return file.name, format_digest(blake3(file.read_bytes()).digest())
        if place == top:
            break
    return "", ""
