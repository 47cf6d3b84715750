"""A text that a verb takes from a file, or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from weighbridge.core.errors import InvalidRequest, SourceUnreadable, Violation

_STDIN = "-"


def read_text(file: str, what: str, most_bytes: int, advice: str = "") -> str:
    """The text of a file, which is ``what``; ``-`` is standard input. ``advice`` is for one that is too long.

    Raises:
        SourceUnreadable: there is no such file, or it cannot be read.
        InvalidRequest: it is not UTF-8, or too long: of such a one, only as much is read as shows it.
    """
    try:
        if file == _STDIN:
            raw = sys.stdin.buffer.read(most_bytes + 1)
        else:
            with Path(file).open("rb") as opened:
                raw = opened.read(most_bytes + 1)
    except (OSError, ValueError) as fault:
        said = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
        raise SourceUnreadable(f"the {what} cannot be read from {file}: {said}", details={"path": file}) from fault
    if len(raw) > most_bytes:
        violation = Violation(what, f"has more than {most_bytes} bytes{advice}")
        raise InvalidRequest(f"{file} is too long for a {what}", violations=[violation])
    try:
        return raw.decode()
    except UnicodeDecodeError as fault:
        violation = Violation(what, f"is not UTF-8 at byte {fault.start}")
        raise InvalidRequest(f"{file} is not text", violations=[violation]) from fault
