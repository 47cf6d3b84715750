"""What the tests of a hostile server share: their patience, the place that pulls go to, and a pull that is refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

import weighbridge as wb
from hostile_server import REF, Content, chunk_answer, until_ended
from weighbridge.client import Client
from weighbridge.v1 import transfer_pb2

STALL_S = 0.4
RETRY_S = 1.0
IMPATIENT_S = 45
"""Less than the 60 s that a client waits which does not know of the two limits above."""
GROWTH_MB = 100
"""Most that an endless or inflated answer may cost; it is measured to cost less than half of it."""

FILES = {"config.json": b'{"layers": 2}', "deep/weights.bin": os.urandom(2500)}
"""Cut every 1000 bytes: one chunk, and three."""

Chunks = Iterator[transfer_pb2.DownloadChunksResponse]


@dataclass
class Place:
    """Where pulls go to, and everything around it."""

    root: Path
    dest: Path
    outside: Path

    def state(self) -> dict[str, object]:
        """Every entry below the root: its kind and mode, and its bytes or where it leads."""
        return {
            str(path.relative_to(self.root)): (path.lstat().st_mode, _content(path))
            for path in sorted(self.root.rglob("*"))
        }


def _content(path: Path) -> object:
    if path.is_symlink():
        return path.readlink()
    return path.read_bytes() if path.is_file() else None


def refused(sdk: Client, place: Place, cls: type[wb.WeighbridgeError], text: str, ref: str = REF) -> Any:
    """Pulls; it must fail as told, with ``text`` where a person reads it, and change nothing on the disk."""
    before = place.state()
    for dest in (place.dest, place.root / "absent" / "dest"):
        with pytest.raises(cls) as caught:
            sdk.pull(ref, dest)
        assert type(caught.value) is cls
        shown = "\n".join([caught.value.message, *(f"{item.path}: {item.message}" for item in caught.value.violations)])
        assert text in shown
        assert place.state() == before
    return caught.value


def stopping_after(content: Content, chunks: int) -> Callable[..., Chunks]:
    """Sends so many chunks and stops for ever, however often it is asked again."""
    left = chunks
    one_at_a_time = threading.Lock()

    def download(request: Any, context: grpc.ServicerContext) -> Chunks:
        nonlocal left
        with one_at_a_time:
            sent, left = request.digests[:left], 0
        yield from (chunk_answer(content.chunks[digest]) for digest in sent)
        until_ended(context)

    return download
