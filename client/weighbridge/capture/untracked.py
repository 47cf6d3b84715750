"""The digest of the files that git does not track: of their paths, and of the contents of the code among them.

Data and results lie untracked in many a repository and change with each run; code that does decides what the next run
makes. So contents count of what runs and of Python's files, and only of so much that it is read in no time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from weighbridge.core.digest import format_digest

_MOST_FILES = 1000
_MOST_BYTES = 16 * 1024 * 1024
"""In all; a file for which there is no room left counts by its path only."""
_CODE = b".py"


def untracked_digest(top: Path, paths: Sequence[bytes], script: bytes) -> str:
    """Of paths from the repository's root ``top``, sorted; ``script`` is what runs. Empty where there are none."""
    if not paths:
        return ""
    digest = blake3(b"".join(path + b"\0" for path in paths))
    room = _MOST_BYTES
    for path in [path for path in paths if path == script or path.endswith(_CODE)][:_MOST_FILES]:
        with suppress(OSError):  # it is gone by now, or not to be read
            content = _content(top / os.fsdecode(path), room)
            room -= len(content)
            digest.update(b"\0%s\0%s" % (path, blake3(content).digest()))
    return format_digest(digest.digest())


def _content(path: Path, most: int) -> bytes:
    """What git would keep: of a link, where it leads. Raises: OSError, where it is larger, or no file."""
    if path.is_symlink():
        return os.fsencode(path.readlink())
    # A pipe of that name shall not be waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("no file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError("too large")
    return content
