"""Model names, prefixes of them, and references to versions.

A name is 1 to 8 segments joined by dots: ``project.task.architecture`` unless the schema of a prefix sets another
pattern, which the server knows. A reference is ``name`` (the latest committed version), ``name:7``, ``name@alias`` or
``name#b3:<hex>`` (the newest version with that manifest).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weighbridge.core.digest import Digest, format_digest, parse_digest
from weighbridge.core.errors import InvalidName, InvalidReference, Violation

ALL_NAMES = "*"
"""The prefix that governs all names."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_MOST_SEGMENTS = 8
_USUAL_SEGMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_USUAL_SEGMENTS = ("project", "task", "architecture")
_NAME_CHARS = 255
"""A name beyond it is refused as a whole, not segment by segment."""
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
            return alias_ref(self.model, self.alias)
        if self.manifest is not None:
            return f"{self.model}#{format_digest(self.manifest)}"
        return self.model


def version_ref(model: str, version: int) -> str:
    """``name:number``."""
    return f"{model}:{version}"


def check_model_name(name: str) -> str:
    """Returns what can be a name, whatever the pattern of its prefix is.

    Raises:
        InvalidName: it cannot; one violation for each segment that is wrong.
    """
    if not isinstance(name, str):  # callers without a type checker
        raise InvalidName(f"a model name is text, such as fraud.tabular.transformer; this is a {type(name).__name__}")
    if len(name) > _NAME_CHARS:
        raise InvalidName(
            f"a model name has at most {_NAME_CHARS} characters; this one has {len(name)}",
            violations=[Violation("name", f"is longer than {_NAME_CHARS} characters")],
        )
    violations = _wrong_segments(name, _SEGMENT, r"A-Za-z0-9_-", "letters, digits, hyphens and underscores")
    if name.count(".") >= _MOST_SEGMENTS:
        segments = name.count(".") + 1
        violations.insert(0, Violation("name", f"has {segments} segments separated by dots; at most {_MOST_SEGMENTS}"))
    if violations:
        raise InvalidName(
            f"{name!r} is not a model name; it is segments joined by dots, such as fraud.tabular.transformer",
            violations=violations,
        )
    return name


def check_usual_name(name: str) -> str:
    """Returns a name that is ``project.task.architecture``: what names are where no schema sets another pattern.

    Raises:
        InvalidName: it is not; one violation for each segment that is wrong.
    """
    violations = _wrong_segments(name, _USUAL_SEGMENT, r"a-z0-9-", "lowercase letters, digits and hyphens")
    segments, needed = name.count(".") + 1, len(_USUAL_SEGMENTS)
    if segments != needed:
        violations.insert(0, Violation("name", f"has {segments} segments separated by dots; it needs {needed}"))
    if violations:
        raise InvalidName(
            f"{name!r} is not a model name; it is project.task.architecture, such as fraud.tabular.transformer",
            violations=violations,
        )
    return name


def check_prefix(prefix: str) -> str:
    """Returns the prefix when it is whole segments of names, or ``*``.

    Raises:
        InvalidName: it is not.
    """
    if prefix == ALL_NAMES:
        return prefix
    try:
        return check_model_name(prefix)
    except InvalidName as fault:
        raise InvalidName(
            f"{prefix[:80]!r} is not a prefix of names; it is whole segments, such as fraud or fraud.tabular, or *",
            violations=fault.violations,
        ) from None


def prefixes_of(name: str) -> list[str]:
    """The prefixes that may govern a name or prefix, the longest, which is the name itself, first."""
    segments = name.split(".") if name != ALL_NAMES else []
    return [*(".".join(segments[:count]) for count in range(len(segments), 0, -1)), ALL_NAMES]


def _wrong_segments(name: str, pattern: re.Pattern[str], allowed: str, words: str) -> list[Violation]:
    violations = []
    for place, segment in enumerate(name.split(".")):
        if not pattern.fullmatch(segment):
            which = _USUAL_SEGMENTS[place] if place < len(_USUAL_SEGMENTS) else f"segment {place + 1}"
            violations.append(Violation(f"name.{which}", f"{segment!r} {_what_is_wrong(segment, allowed, words)}"))
    return violations


def _what_is_wrong(
    segment: str, allowed: str = r"a-z0-9-", words: str = "lowercase letters, digits and hyphens"
) -> str:
    if not segment:
        return "is empty"
    if segment.startswith("-"):
        return "begins with a hyphen; begin with a letter or a digit"
    wrong = "".join(sorted(set(re.sub(rf"[{allowed}]", "", segment))))
    if wrong:
        return f"has {wrong!r}; use {words}"
    if segment.startswith("_"):
        return "begins with an underscore; begin with a letter or a digit"
    return "is longer than 63 characters"


def check_alias(alias: str) -> str:
    """Returns the alias, without ``@``, when it follows the pattern.

    Raises:
        InvalidReference: it does not.
    """
    if not _ALIAS.fullmatch(alias):
        raise InvalidReference(
            f"{alias[:80]!r} is not an alias; it is a word such as champion, written name@champion in references",
            violations=[Violation("alias", _what_is_wrong(alias))],
        )
    return alias


def parse_alias(text: str) -> tuple[str, str]:
    """Reads ``name@alias``: the model's name, and the alias without ``@``.

    Raises:
        InvalidReference: it is no reference, or one without an alias.
        InvalidName: the name breaks its pattern.
    """
    ref = parse_ref(text)
    if ref.alias is None:
        raise InvalidReference(f"{text!r} names no alias; write NAME@ALIAS, such as {ref.model}@production")
    return ref.model, ref.alias


def parse_watched(text: str) -> tuple[str, str]:
    """Reads ``name@alias`` or ``name``: the model's name, and the alias without ``@``, or nothing.

    Raises:
        InvalidReference: it is no reference, or one to a version, which does not move.
        InvalidName: the name breaks its pattern.
    """
    ref = parse_ref(text)
    if ref.version is not None or ref.manifest is not None:
        raise InvalidReference(f"{text!r} does not move; watch an alias, NAME@ALIAS, or a whole model, NAME")
    return ref.model, ref.alias or ""


def alias_ref(model: str, alias: str) -> str:
    """``name@alias``."""
    return f"{model}@{alias}"


def parse_ref(text: str) -> Ref:
    """Reads a reference.

    Raises:
        InvalidReference: the part after the name cannot be read.
        InvalidName: the name breaks its pattern.
    """
    if not isinstance(text, str):  # callers without a type checker
        instead = getattr(text, "ref", None)
        what = f"give its ref, {instead!r}" if isinstance(instead, str) else _FORMS
        raise InvalidReference(f"a reference is text; this is a {type(text).__name__}: {what}")
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
