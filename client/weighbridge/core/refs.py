"""Model names and references to versions.

A name is ``project.task.architecture``. A reference is ``name`` (the latest committed version),
``name:7``, ``name@alias`` or ``name#b3:<hex>`` (the newest version with that manifest).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weighbridge.core.digest import Digest, format_digest, parse_digest
from weighbridge.core.errors import InvalidName, InvalidReference, Violation

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SEGMENTS = ("project", "task", "architecture")
_NAME_CHARS = 255
"""More than three segments can have: a name beyond it is refused as a whole, not segment by segment."""
_ALIAS = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_FORMS = "a reference is name, name:7, name@alias or name#b3:<64 hex digits>"


@dataclass(frozen=True, slots=True)
class Ref:
    """A parsed reference; at most one of ``version``, ``alias`` and ``manifest`` is set."""

    model: str
    version: int | None = None
    alias: str | None = None
    manifest: Digest | None = None

    def __str__(self) -> str:
        if self.version is not None:
            return version_ref(self.model, self.version)
        if self.alias is not None:
            return f"{self.model}@{self.alias}"
        if self.manifest is not None:
            return f"{self.model}#{format_digest(self.manifest)}"
        return self.model


def version_ref(model: str, version: int) -> str:
    """``name:number``."""
    return f"{model}:{version}"


def check_model_name(name: str) -> str:
    """Returns the name when it follows the pattern.

    Raises:
        InvalidName: it does not; one violation for each segment that is wrong.
    """
    if len(name) > _NAME_CHARS:
        raise InvalidName(
            f"a model name has at most {_NAME_CHARS} characters; this one has {len(name)}",
            violations=[Violation("name", f"is longer than {_NAME_CHARS} characters")],
        )
    segments = name.split(".")
    violations = []
    if len(segments) != len(_SEGMENTS):
        violations.append(
            Violation("name", f"has {len(segments)} segments separated by dots; it needs {len(_SEGMENTS)}")
        )
    for place, segment in enumerate(segments):
        if not _SEGMENT.fullmatch(segment):
            which = _SEGMENTS[place] if place < len(_SEGMENTS) else f"segment {place + 1}"
            violations.append(Violation(f"name.{which}", f"{segment!r} {_what_is_wrong(segment)}"))
    if violations:
        raise InvalidName(
            f"{name!r} is not a model name; it is project.task.architecture, such as fraud.tabular.transformer",
            violations=violations,
        )
    return name


def _what_is_wrong(segment: str) -> str:
    if not segment:
        return "is empty"
    if segment.startswith("-"):
        return "begins with a hyphen; begin with a letter or a digit"
    if not re.fullmatch(r"[a-z0-9-]+", segment):
        wrong = "".join(sorted(set(re.sub(r"[a-z0-9-]", "", segment))))
        return f"has {wrong!r}; use lowercase letters, digits and hyphens"
    return "is longer than 63 characters"


def parse_ref(text: str) -> Ref:
    """Reads a reference.

    Raises:
        InvalidReference: the part after the name cannot be read.
        InvalidName: the name breaks its pattern.
    """
    match = re.fullmatch(r"([^:@#]*)(?:([:@#])(.*))?", text, re.DOTALL)
    if match is None:
        raise InvalidReference(f"{text!r} cannot be read; {_FORMS}")
    name, mark, rest = match[1], match[2], match[3]
    check_model_name(name)
    if mark is None:
        return Ref(name)
    if mark == ":":
        if not _NUMBER.fullmatch(rest):
            raise InvalidReference(f"{rest!r} in {text!r} is not a version number; versions count 1, 2, 3 …; {_FORMS}")
        return Ref(name, version=int(rest))
    if mark == "@":
        if not _ALIAS.fullmatch(rest):
            raise InvalidReference(
                f"{rest!r} in {text!r} is not an alias; use lowercase letters, digits and hyphens; {_FORMS}"
            )
        return Ref(name, alias=rest)
    return Ref(name, manifest=parse_digest(rest))
