"""The installed packages, by the names of their metadata's folders: one listing of each folder on ``sys.path``."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from weighbridge.capture.recordable import recordable

_NAME_BYTES = 256
_HEAD_BYTES = 4096


def installed_packages() -> dict[str, str]:
    """Names, in lower case with hyphens, and versions; of two the first on ``sys.path``, which is imported."""
    found: dict[str, str] = {}
    for folder in dict.fromkeys(sys.path):
        with suppress(OSError):
            for name, version in _in_folder(folder or os.curdir):
                found.setdefault(name, version)
    return dict(sorted(found.items()))


def imported_packages(packages: Mapping[str, str]) -> dict[str, str]:
    """Those of which this process has imported a module. Reads each package's list of files: not fast."""
    modules = {name.partition(".")[0] for name in list(sys.modules)}
    owners = importlib.metadata.packages_distributions()
    imported = {_plain(owner) for module in modules for owner in owners.get(module, ())}
    return {name: version for name, version in packages.items() if name in imported}


def _in_folder(folder: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, dot, kind = entry.name.rpartition(".")
            if not dot or kind not in ("dist-info", "egg-info"):
                continue
            name, version = _named(stem) if kind == "dist-info" else _egg(Path(entry.path))
            name = recordable(_plain(name))
            if name and len(name.encode()) <= _NAME_BYTES:
                yield name, recordable(version, _NAME_BYTES)


def _named(stem: str) -> tuple[str, str]:
    """``name-version``: in a wheel's names the version has no hyphen."""
    name, _, version = stem.rpartition("-")
    return name or version, version if name else ""


def _egg(path: Path) -> tuple[str, str]:
    """Name and version of older metadata, whose names say less."""
    file = path / "PKG-INFO" if path.is_dir() else path
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES).decode(errors="replace")
    facts = dict(re.findall(r"^(Name|Version):[ \t]*(\S+)", head, re.MULTILINE))
    return facts.get("Name", ""), facts.get("Version", "")


def _plain(name: str) -> str:
    """The normalized form of a name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
