"""The checks of this machine: programs, folders and the server's parts."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from weighbridge.cli.checks import Check
from weighbridge.cli.units import size
from weighbridge.core.errors import StartupFailed
from weighbridge.core.release import __version__
from weighbridge.local_state import cache_dir

LITTLE_BYTES = 1_000_000_000
"""Less free space than this is worth a word: few models fit."""


def software() -> Iterator[Check]:
    """This program and what it runs on."""
    yield Check("client", True, f"weighbridge {__version__}")
    libraries = f"grpcio {version('grpcio')}, protobuf {version('protobuf')}"
    yield Check("python", True, f"{platform.python_version()} in {sys.prefix}, {libraries}")


def folders() -> Iterator[Check]:
    """Where pulls leave something: the cache, and the folder that one stands in."""
    yield cache_folder(cache_dir())
    try:
        here = Path.cwd()
    except OSError as fault:
        advice = "it was removed; cd to another one"
        yield Check("current folder", False, fault.strerror or str(fault), advice)
        return
    yield _space("current folder", here, "a pull into it needs as much as the version's size; free some, or pull")


def cache_folder(folder: Path) -> Check:
    """Whether receipts of pulls can be kept."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as fault:
        return Check(
            "cache folder",
            False,
            f"{folder} cannot be written: {fault.strerror or fault}",
            f"give this user {there}, or name another folder in WEIGHBRIDGE_CACHE_DIR",
        )
    return _space("cache folder", folder, "free some, or name another folder in WEIGHBRIDGE_CACHE_DIR", of=there)


def _space(name: str, folder: Path, advice: str, *, of: Path | None = None) -> Check:
    try:
        free = shutil.disk_usage(of or folder).free
    except OSError as fault:
        return Check(name, False, f"{folder} cannot be looked at: {fault.strerror or fault}", advice)
    enough = free >= LITTLE_BYTES
    if name == "current folder" and not os.access(folder, os.W_OK):
        return Check(name, enough, f"{folder}, {size(free)} free, not writable for this user", "" if enough else advice)
    return Check(name, enough, f"{folder}, {size(free)} free", "" if enough else advice)


def server_parts() -> Check:
    """Whether ``weighbridge serve`` can run here; a machine that only pulls does not need it."""
    name = "server parts"
    try:
        for module in ("app", "settings", "postgres_software"):
            importlib.import_module(f"weighbridge_server.{module}")
    except ModuleNotFoundError as fault:
        return Check(name, True, f"not installed ({fault.name} is missing); only 'weighbridge serve' needs them")
    except ImportError as fault:  # a library of the system, most often
        return Check(name, False, f"cannot be loaded: {fault}", "pip install --force-reinstall 'weighbridge[server]'")
    from weighbridge_server import postgres_software, settings

    try:
        configured = settings.load({}, None)
        if configured.database:
            return Check(name, True, "installed; WEIGHBRIDGE_DATABASE names a PostgreSQL of your own")
        binaries = configured.postgres_bin or postgres_software.wheel_binaries()
        major = postgres_software.major_version(binaries)
        postgres_software.unprivileged_account(Path(os.devnull, "none"), None)
    except StartupFailed as fault:
        wrong = "; ".join(f"{item.path}: {item.message}" for item in fault.violations)
        return Check(name, False, "installed, but a server would not start", wrong or fault.message)
    return Check(name, True, f"installed, with PostgreSQL {major} embedded")
