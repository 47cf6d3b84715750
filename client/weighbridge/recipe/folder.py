"""Writing the folder of a recipe: whole, or not at all.

It is made under another name beside its place and takes the place by one rename. Into a folder that holds something
already, its files are moved one by one.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from weighbridge.core.errors import DestinationUnwritable

_SCRIPT = "run.sh"
_LOCKS = "lock"
_OWN = ("README.md", "recipe.json", "params.json", "datasets.json", "requirements.txt", _SCRIPT)


def write_folder(folder: Path, contents: Mapping[str, bytes], *, force: bool) -> None:
    """Raises: DestinationUnwritable, naming the folder and why."""
    try:
        if folder.is_symlink() or folder.exists():
            _check(folder, force=force)
        place = folder.resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        # Within a folder that is there already, as somebody may stand in it: it is filled, and not exchanged.
        partial = (place if place.exists() else place.parent) / f".recipe-{uuid.uuid4().hex}"
        try:
            _fill(partial, contents)
            _put(partial, place, contents)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as fault:
        raise DestinationUnwritable(
            f"{folder} cannot be written: {fault.strerror or fault}", details={"path": str(folder)}
        ) from fault


def _check(folder: Path, *, force: bool) -> None:
    if not folder.is_dir():
        raise DestinationUnwritable(f"{folder} is not a folder", details={"path": str(folder)})
    if not force and any(folder.iterdir()):
        raise DestinationUnwritable(
            f"{folder} holds something already; name another folder, or write into it with --force (force=True)",
            details={"path": str(folder)},
        )


def _fill(partial: Path, contents: Mapping[str, bytes]) -> None:
    for path, content in contents.items():
        file = partial / path
        file.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o777 if path == _SCRIPT else 0o666  # less what the user's mask takes away
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as opened:
            opened.write(content)


def _put(partial: Path, place: Path, contents: Mapping[str, bytes]) -> None:
    if not place.exists():
        partial.rename(place)
        return
    for path in contents:
        (place / path).parent.mkdir(exist_ok=True)
        (partial / path).replace(place / path)
    older = {*_OWN, *(f"{_LOCKS}/{file.name}" for file in (place / _LOCKS).glob("*"))}
    for path in older - contents.keys():
        (place / path).unlink(missing_ok=True)
