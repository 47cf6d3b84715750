"""A checkpoint: where the journal stood once, kept elsewhere, for a later verification to be held against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from weighbridge.core.digest import Digest
from weighbridge.core.errors import UsageError
from weighbridge.core.event_hash import time_text
from weighbridge.core.event_text import parse_hash_text, parse_time_text

FORMAT = "weighbridge journal checkpoint"
FORMAT_VERSION = 1
CHECKPOINT_BYTES = 64 * 1024
"""More than any has."""

_LARGEST_REVISION = 2**63 - 1


@dataclass(frozen=True)
class Checkpoint:
    """The newest event of a journal that was proven, and so all before it. Whoever holds it can show a rewrite."""

    server: str
    """``HOST:PORT`` that it was taken from, or the name of a file; it only tells people."""
    revision: int
    """As many events were proven; 0: the journal was empty."""
    hash: Digest
    """Of that event."""
    time: datetime
    """When it was taken, by the clock of who took it."""

    def to_json(self) -> str:
        """One JSON document, the form for files."""
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "server": self.server,
            "revision": self.revision,
            "hash": self.hash.hex(),
            "time": time_text(self.time),
        }
        return json.dumps(document).replace("\x7f", r"\u007f")

    @staticmethod
    def from_json(text: str) -> Checkpoint:
        """A checkpoint from what ``to_json`` gave.

        Raises:
            UsageError: it is not one, or one of a later release.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as fault:
            raise UsageError("it is not JSON") from fault
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise UsageError(f"it is not a {FORMAT}")
        version, revision, server = (document.get(name) for name in ("format_version", "revision", "server"))
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise UsageError(f"its format version is {version!r}; this release knows {FORMAT_VERSION}")
        if not isinstance(revision, int) or isinstance(revision, bool) or not 0 <= revision <= _LARGEST_REVISION:
            raise UsageError("its 'revision' is not a number of an event")
        if not isinstance(server, str):
            raise UsageError("its 'server' is not a text")
        hashed = parse_hash_text(document.get("hash"), "hash")
        return Checkpoint(server, revision, hashed, parse_time_text(document.get("time")))
