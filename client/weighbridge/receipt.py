"""Receipts: what a pull put into a folder, so that the folder can be verified later.

A receipt is kept in the client's cache and not in the folder, which holds exactly what was pushed.
"""

from __future__ import annotations

import base64
import fcntl
import json
import operator
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.core.chunks import ChunkRef
from weighbridge.core.digest import SIZE_BYTES, chunk_digest, format_digest, parse_digest
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.manifest import FileManifest, check_file, check_manifest
from weighbridge.core.paths import check_paths
from weighbridge.core.refs import parse_ref
from weighbridge.local_state import cache_dir


@dataclass(frozen=True)
class Receipt:
    """The version that a folder was pulled from, with every chunk of every file."""

    ref: str
    manifest: bytes
    all_files: Sequence[FileManifest]
    pulled: frozenset[str]
    """The paths of those that were pulled."""

    @property
    def files(self) -> list[FileManifest]:
        """The files that were pulled."""
        return [file for file in self.all_files if file.path in self.pulled]


def save_receipt(folder: Path, receipt: Receipt) -> None:
    """Keeps the receipt of a folder in place of an earlier one; what was pulled of the same content counts on.

    Raises:
        OSError: the cache cannot be written.
    """
    place = _place(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.parent):
        _save(place, folder, receipt)


@contextmanager
def _locked(receipts: Path) -> Iterator[None]:
    """Another pull that would read a receipt now, and forget what this one adds to it, waits."""
    fd = os.open(receipts, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _save(place: Path, folder: Path, receipt: Receipt) -> None:
    earlier = load_receipt(folder)
    pulled = receipt.pulled | (earlier.pulled if earlier and earlier.manifest == receipt.manifest else frozenset())
    document = {
        "folder": str(folder.resolve()),
        "ref": receipt.ref,
        "manifest_digest": format_digest(receipt.manifest),
        "files": [
            {
                "path": file.path,
                "pulled": file.path in pulled,
                "size_bytes": file.size_bytes,
                "root": file.root.hex(),
                "digests": base64.b64encode(b"".join(chunk.digest for chunk in file.chunks)).decode(),
                "lengths": [chunk.raw_bytes for chunk in file.chunks],
            }
            for file in receipt.all_files
        ],
    }
    with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False) as unfinished:
        try:
            json.dump(document, unfinished)
            unfinished.flush()
            os.replace(unfinished.name, place)  # noqa: PTH105 - the name is a str
        except OSError:
            Path(unfinished.name).unlink(missing_ok=True)
            raise


def load_receipt(folder: Path) -> Receipt | None:
    """The receipt of a folder; None when there is none that can be trusted."""
    try:
        document = json.loads(_place(folder).read_text())
        files = [_file(entry) for entry in document["files"]]
        manifest = parse_digest(document["manifest_digest"])
        check_paths(file.path for file in files)
        for file in files:
            check_file(file)
        check_manifest(files, manifest)
        pulled = frozenset(entry["path"] for entry in document["files"] if entry["pulled"])
        return Receipt(str(parse_ref(document["ref"])), manifest, files, pulled)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, WeighbridgeError):
        return None  # whoever wrote it, it is not what save_receipt writes


def _file(entry: dict[str, Any]) -> FileManifest:
    digests = base64.b64decode(entry["digests"])
    chunks = [
        ChunkRef(digests[place * SIZE_BYTES : (place + 1) * SIZE_BYTES], operator.index(length))
        for place, length in enumerate(entry["lengths"])
    ]
    return FileManifest(entry["path"], entry["size_bytes"], bytes.fromhex(entry["root"]), chunks)


def _place(folder: Path) -> Path:
    name = chunk_digest(os.fsencode(folder.resolve())).hex()[:32]
    return cache_dir() / "pulls" / f"{name}.json"
