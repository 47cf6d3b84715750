"""Files and names that a crash cannot take back."""

from __future__ import annotations

import os
from pathlib import Path

NEW_SUFFIX = ".new"
"""Of a file until it is whole."""


def write_durably(path: Path, content: str, *, mode: int = 0o600) -> None:
    """Replace the file at ``path`` in one step, so that after a crash it has the old or the new content."""
    new = path.with_name(path.name + NEW_SUFFIX)
    new.unlink(missing_ok=True)
    # O_EXCL: never through a link that somebody else put there.
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, mode)  # whatever the umask says
        file.write(content)
        file.flush()
        os.fsync(fd)
    new.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a rename is not until this returns."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
