"""Which paths a version may hold: such that every file system takes them and none leads outside."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from weighbridge.core.errors import InvalidPath, Violation
from weighbridge.core.limits import FILES_PER_VERSION, PATH_BYTES, check_limit

PARTIAL_PREFIX = ".weighbridge-"
"""Begins the name of the folder in which a pull keeps unfinished files; no version may hold such a path."""


def check_paths(paths: Iterable[str]) -> None:
    """Checks all the paths of a version together.

    Raises:
        InvalidPath: with one violation for each path that cannot be held, or that collides with another.
        LimitExceeded: there are more than a version may hold.
    """
    listed = list(paths)
    check_limit("files", len(listed), FILES_PER_VERSION)
    wrong = {path: what for path in listed if (what := _what_is_wrong(path))}
    violations = [Violation(path, what) for path, what in wrong.items()]
    violations += _collisions([path for path in listed if path not in wrong])
    if violations:
        raise InvalidPath(f"{len(violations)} of the paths cannot be held by a version", violations=violations)


def _what_is_wrong(path: str) -> str | None:
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    segments = path.split("/")
    checks = (
        (not path, "is empty"),
        (size_bytes > PATH_BYTES, f"is {size_bytes} bytes long; at most {PATH_BYTES} are allowed"),
        ("\0" in path, "contains a NUL character"),
        ("\\" in path, "contains a backslash"),
        (path.startswith("/"), "is absolute; paths are relative to the version"),
        (".." in segments, "leads outside with '..'"),
        ("." in segments or "" in segments[1:], "has an empty or '.' segment"),
        (
            any(segment.startswith(PARTIAL_PREFIX) for segment in segments),
            f"has a segment that begins with {PARTIAL_PREFIX}, where pulls keep their unfinished files",
        ),
    )
    return next((what for wrong, what in checks if wrong), None)


def _collisions(paths: list[str]) -> list[Violation]:
    """Paths that one file system or another takes for the same, or that are file and folder at once."""
    seen: dict[str, str] = {}
    violations = []
    for path in paths:
        key = _fold(path)
        if key in seen:
            violations.append(Violation(path, f"collides with {seen[key]!r} where case does not count"))
        else:
            seen[key] = path
    for path in paths:
        parent = _fold(path)
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if (holder := seen.get(parent)) is not None:
                violations.append(Violation(path, f"needs a folder where {holder!r} is a file"))
                break
    return violations


def _fold(path: str) -> str:
    """Equal for paths that match by canonical caseless matching (Unicode, definition D145).

    Normalized on both sides of the folding, which takes some letters apart: ``ΐ`` and ``Ϊ́`` are one.
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
