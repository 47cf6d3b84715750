"""Writing a file that is there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from weighbridge.core.errors import DestinationUnwritable


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file that takes its place, synced, when the block ends without an exception.

    What is there and is not a regular file, such as a pipe or ``/dev/stdout``, is written into directly.

    Raises:
        DestinationUnwritable: naming the file, and why.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8") as file:
                yield file
            return
        place = path.resolve()  # a symbolic link stays one
        partial = place.with_name(f".{place.name[:100]}.{uuid4().hex}")
        try:
            with partial.open("x", encoding="utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as fault:
        raise DestinationUnwritable(
            f"{path} cannot be written: {fault.strerror or fault}", details={"path": str(path)}
        ) from fault
