"""The machine and the interpreter. No environment variable is recorded, but the one that names the image."""

from __future__ import annotations

import os
import platform
import pwd
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from weighbridge.capture.accelerators import accelerators
from weighbridge.capture.git import top_level
from weighbridge.capture.lock_file import find_lock
from weighbridge.capture.packages import installed_packages
from weighbridge.capture.recordable import recordable
from weighbridge.capture.redaction import without_secrets
from weighbridge.core.values import Environment

CONTAINER_IMAGE = "WEIGHBRIDGE_CONTAINER_IMAGE"
Fact = TypeVar("Fact")


def environment_of(folder: Path) -> Environment:
    """Where this process runs; ``folder`` is that of its code."""
    system = os.uname()
    lock_file, lock_digest = _or(("", ""), lambda: find_lock(folder, top_level(folder)))
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        os=_or("", lambda: recordable(platform.freedesktop_os_release()["PRETTY_NAME"])) or system.sysname,
        platform=recordable(f"{system.sysname} {system.release} {system.machine}"),
        cpu=_or("", _cpu),
        cpu_count=os.cpu_count() or 0,
        accelerators=_or((), accelerators),
        container_image=recordable(without_secrets(os.environ.get(CONTAINER_IMAGE, ""))),
        packages=_or({}, installed_packages),
        lock_file=recordable(lock_file),
        lock_digest=lock_digest,
        host=recordable(system.nodename),
        user=_or(str(os.getuid()), lambda: recordable(pwd.getpwuid(os.getuid()).pw_name)),
    )


def _cpu() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return recordable(value)
    return ""


def _or(otherwise: Fact, fact: Callable[[], Fact]) -> Fact:
    with suppress(OSError, ValueError, KeyError):
        return fact()
    return otherwise
