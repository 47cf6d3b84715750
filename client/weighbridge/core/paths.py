"""Which paths a version may hold: such that every file system takes them and none leads outside."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping

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
    TakenPaths().take((path, "") for path in paths)


class TakenPaths:
    """The paths of a version that come in parts; what a part takes does not grow with those before it."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, str]] = {}
        """Path and origin of each, by the folded path."""
        self._sorted: list[str] = []
        """The folded paths: those below a folder stand together."""

    def take(self, files: Iterable[tuple[str, str]]) -> None:
        """Adds files, all of them or none.

        Args:
            files: the path of each, and where it comes from, which a message names; or nothing.

        Raises:
            InvalidPath: with one violation for each path that cannot be held, or that collides with another, of these
                or of those that were taken before.
            LimitExceeded: with those before, there are more than a version may hold.
        """
        listed = list(files)
        check_limit("files", len(self._files) + len(listed), FILES_PER_VERSION)
        wrong = {path: what for path, _ in listed if (what := _what_is_wrong(path))}
        violations = [Violation(path, what) for path, what in wrong.items()]
        right = [(_fold(path), path, origin) for path, origin in listed if path not in wrong]
        new: dict[str, tuple[str, str]] = {}
        for key, path, origin in right:
            holder = self._holder(key, new)
            if holder is None:
                new[key] = path, origin
            else:
                violations.append(Violation(path, _collision(path, origin, *holder)))
        needed = {below: key for key in sorted(new, key=len) for below in self._below(key)}
        violations += [Violation(self._files[below][0], _needs_a_folder(new[key][0])) for below, key in needed.items()]
        for key, path, _ in right:
            holders = (self._holder(parent, new) for parent in _parents(key))
            if (holder := next(filter(None, holders), None)) is not None:
                violations.append(Violation(path, _needs_a_folder(holder[0])))
        if violations:
            raise InvalidPath(f"{len(violations)} of the paths cannot be held by a version", violations=violations)
        self._files.update(new)
        if self._sorted:
            for key in new:
                insort(self._sorted, key)
        else:
            self._sorted = sorted(new)

    def _holder(self, key: str, new: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
        return self._files.get(key) or new.get(key)

    def _below(self, folder: str) -> Iterator[str]:
        """The folded paths that were taken before and are below what would be a file now."""
        place = bisect_left(self._sorted, folder + "/")
        while place < len(self._sorted) and self._sorted[place].startswith(folder + "/"):
            yield self._sorted[place]
            place += 1


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


def _collision(path: str, origin: str, other: str, other_origin: str) -> str:
    """What is wrong with a path that one file system or another takes for that of another file."""
    if path != other:
        return f"collides with {other!r} where case does not count"
    if not origin:
        return "collides with another file of the same path"
    if origin == other_origin:
        return f"was added twice, from {origin}"
    return (
        f"collides with another file of the same path in the version: {other_origin} and {origin} both have it. "
        "Add a folder that holds both: its files keep their paths below it"
    )


def _needs_a_folder(holder: str) -> str:
    return f"needs a folder where {holder!r} is a file"


def _parents(path: str) -> Iterator[str]:
    """The folders that a path needs, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _fold(path: str) -> str:
    """Equal for paths that match by canonical caseless matching (Unicode, definition D145).

    Normalized on both sides of the folding, which takes some letters apart: ``ΐ`` and ``Ϊ́`` are one.
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
