"""What breaks a schema, in words for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError

from weighbridge.core.errors import Violation

_VALUE_CHARS = 80
_TEXT_CHARS = 200
_PATH_BYTES = 400
_MOST_LISTED = 10
_MOST_BRANCHES = 3

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "text",
}
_HOW_TO_GIVE = {
    "tags": "--tag {name}=VALUE, or set_tags(…)",
    "params": "--param {name}=VALUE, or log_params(…)",
    "metrics": "--metric {name}=NUMBER, or log_metric(…)",
    "description": "--description TEXT, or describe(…)",
    "datasets": "--dataset NAME:VERSION, or add_dataset(…)",
    "parents": "--parent REF",
    "source": "push from a git repository, without --no-capture",
    "environment": "push without --no-capture",
    "signature": "set_signature(…) of the SDK",
    "energy": "log_energy(…) or track_energy() of the SDK",
}
"""How what is missing is recorded, by the flags of ``push`` and by the SDK."""


def violation_of(error: ValidationError, *, whole: str = "record", about: bool = True) -> Violation:
    """Where and what. ``whole`` is what the document itself is called; ``about``: with what the schema says of it."""
    return Violation(path_text(error.absolute_path) or whole, message_of(error, about=about))


def path_text(path: Iterable[str | int]) -> str:
    """``datasets[0].digest``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return _clipped(text, _PATH_BYTES)


def message_of(error: ValidationError, *, about: bool = True) -> str:
    """What is wrong, and what the schema says of it where it says something."""
    word = _WORDS.get(error.validator) if isinstance(error.validator, str) else None
    said = word(error) if word is not None else "is not allowed"
    text = _about(error) if about else ""
    return f"{said}: {text}" if text else said


def _about(error: ValidationError) -> str:
    """The title or description that the schema gives to what is wrong."""
    schema = error.schema
    if error.validator in ("required", "dependentRequired"):
        schema = _member(_member(schema, "properties"), error.path[-1])
    elif error.validator == "additionalProperties":
        return ""
    text = _member(schema, "description") or _member(schema, "title")
    return _clipped(" ".join(text.split()), _TEXT_CHARS) if isinstance(text, str) else ""


def _member(value: Any, name: Any) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _missing(error: ValidationError) -> str:
    path = list(error.absolute_path)
    if len(path) <= 2 and all(isinstance(step, str) for step in path) and path[0] in _HOW_TO_GIVE:
        how = _HOW_TO_GIVE[path[0]].format(name=_clipped(str(path[-1]), _VALUE_CHARS))
        return f"is missing ({how})"
    return "is missing"


def _dependent(error: ValidationError) -> str:
    return f"{_missing(error)}, and is asked for where {_shown(error.message)} is given"


def _type(error: ValidationError) -> str:
    value: Any = error.validator_value
    wanted = [_TYPES.get(name, str(name)) for name in ([value] if isinstance(value, str) else value)]
    return f"is {_described(error.instance)}; it has to be {_alternatives(wanted)}"


def _enum(error: ValidationError) -> str:
    allowed: Any = error.validator_value
    return f"is {_shown(error.instance)}; it has to be {_alternatives([_shown(each) for each in allowed])}"


def _const(error: ValidationError) -> str:
    return f"is {_shown(error.instance)}; it has to be {_shown(error.validator_value)}"


def _bound(limit: str) -> Callable[[ValidationError], str]:
    def word(error: ValidationError) -> str:
        return f"is {_shown(error.instance)}; it has to be {limit.format(_shown(error.validator_value))}"

    return word


def _count(thing: str, limit: str) -> Callable[[ValidationError], str]:
    def word(error: ValidationError) -> str:
        instance: Any = error.instance
        things = thing if len(instance) == 1 else f"{thing}s"
        return f"has {len(instance)} {things}; it has to have {limit} {error.validator_value}"

    return word


def _contains(error: ValidationError) -> str:
    least = _member(error.schema, "minContains")
    if error.validator == "maxContains":
        return f"has more than {error.validator_value} items of the kind that it may have so many of"
    how_many = "no item" if least in (None, 1) else f"fewer than {least} items"
    return f"has {how_many} of the kind that it needs{_what_kind(error)}"


def _what_kind(error: ValidationError) -> str:
    kind = _member(error.schema, "contains")
    text = _member(kind, "description") or _member(kind, "title")
    return f" ({_clipped(text, _TEXT_CHARS)})" if isinstance(text, str) else ""


def _any_of(error: ValidationError) -> str:
    """What each alternative would need."""
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        place = inner.relative_schema_path[0] if inner.relative_schema_path else 0
        branches.setdefault(place, []).append(inner)
    # Of alternatives for values of other types nobody wants to hear.
    meant = [each for each in branches.values() if not any(_of_other_type(inner) for inner in each)]
    shown = [" and ".join(dict.fromkeys(map(_placed, each))) for each in meant or branches.values()]
    if len(shown) == 1:
        return shown[0]
    more = f"; or {len(shown) - _MOST_BRANCHES} more" if len(shown) > _MOST_BRANCHES else ""
    said = "; or ".join(shown[:_MOST_BRANCHES]) + more
    return _clipped(f"fits none of {len(shown)} alternatives: {said}", 2 * _TEXT_CHARS)


def _of_other_type(error: ValidationError) -> bool:
    return error.validator == "type" and not error.relative_path


def _placed(error: ValidationError) -> str:
    """Below an alternative: where, from the value that it is about, and what."""
    return f"{path_text(error.relative_path)} {message_of(error, about=False)}".strip()


def _one_of(error: ValidationError) -> str:
    if error.context:
        return _any_of(error)
    return f"fits the alternatives {error.message}, and may fit one only"


def _additional(error: ValidationError) -> str:
    known = list(_member(error.schema, "properties") or ())
    patterns = list(_member(error.schema, "patternProperties") or ())
    allowed = [_shown(name) for name in known] + [f"what matches {_shown(pattern)}" for pattern in patterns]
    return f"is not allowed; the schema knows {_alternatives(allowed, 'and')}" if allowed else "is not allowed"


def _property_name(error: ValidationError) -> str:
    return f"has a name that the schema does not allow: it {message_of((error.context or [error])[0])}"


def _not(error: ValidationError) -> str:
    ruled_out = error.validator_value
    if ruled_out == {}:
        return "is not allowed"
    if isinstance(ruled_out, Mapping) and set(ruled_out) <= {"required", "title", "description"}:
        return (
            f"has {_alternatives([_shown(name) for name in ruled_out.get('required', ())], 'and')}, which it must not"
        )
    return f"is what the schema rules out: {_clipped(json.dumps(ruled_out, ensure_ascii=False), _VALUE_CHARS)}"


_WORDS: Mapping[str, Callable[[ValidationError], str]] = {
    "additionalProperties": _additional,
    "anyOf": _any_of,
    "const": _const,
    "contains": _contains,
    "dependentRequired": _dependent,
    "enum": _enum,
    "exclusiveMaximum": _bound("less than {}"),
    "exclusiveMinimum": _bound("more than {}"),
    "maxContains": _contains,
    "maxItems": _count("item", "at most"),
    "maxLength": _count("character", "at most"),
    "maxProperties": _count("member", "at most"),
    "maximum": _bound("{} or less"),
    "minContains": _contains,
    "minItems": _count("item", "at least"),
    "minLength": _count("character", "at least"),
    "minProperties": _count("member", "at least"),
    "minimum": _bound("{} or more"),
    "multipleOf": _bound("a multiple of {}"),
    "not": _not,
    "oneOf": _one_of,
    "pattern": _bound("text that matches {}"),
    "propertyNames": _property_name,
    "required": _missing,
    "type": _type,
    "unevaluatedItems": lambda error: "has items that the schema does not allow",
    "uniqueItems": lambda error: "has the same item twice",
}


def _alternatives(texts: Sequence[str], word: str = "or") -> str:
    if len(texts) > _MOST_LISTED:
        texts = [*texts[:_MOST_LISTED], f"one of {len(texts) - _MOST_LISTED} more"]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {word} {texts[-1]}" if texts else "nothing"


def _described(value: Any) -> str:
    return f"the text {_shown(value)}" if isinstance(value, str) else _shown(value)


def _shown(value: Any) -> str:
    """A value as people read it; of what is large only how large it is."""
    if isinstance(value, str):
        return f"'{_clipped(value, _VALUE_CHARS)}'"
    if isinstance(value, Mapping):
        return f"an object of {len(value)} members"
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    return json.dumps(value)


def _clipped(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"
