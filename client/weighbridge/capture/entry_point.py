"""What runs: its script or module, its command line, and the folder of its code."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from weighbridge.capture.recordable import recordable, recordable_as_is
from weighbridge.capture.redaction import redact_arguments

_ARGUMENT_BYTES = 4096
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class EntryPoint:
    """What runs in this process."""

    folder: Path
    """Where its code is: the script's folder, or the working directory when an installed program runs."""
    name: str
    """The module of ``python -m``, or the script's absolute path; empty where there is none, as in a notebook."""
    command: tuple[str, ...]


def entry_point() -> EntryPoint:
    """The entry point as it is now. Raises: OSError, when the working directory is gone."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    script = Path(file).resolve() if isinstance(file, str) and file else None
    folder = script.parent if script is not None and script.is_file() and not _installed(script) else Path.cwd()
    name = spec.name if spec is not None and isinstance(spec.name, str) else str(script or "")
    command = tuple(recordable_as_is(argument, _ARGUMENT_BYTES) for argument in redact_arguments(sys.orig_argv))
    return EntryPoint(folder, recordable(name), command)


def _installed(script: Path) -> bool:
    """A program of the environment, such as ``weighbridge`` or ``pytest``: the code is not where it is."""
    places = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "scripts")]
    return any(script.is_relative_to(os.path.realpath(place)) for place in places) or script.is_relative_to(_PACKAGE)
