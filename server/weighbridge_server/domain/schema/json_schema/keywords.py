"""The keywords of JSON Schema as ``jsonschema`` has them, but for those that have to do more here.

What differs: every step is counted, so that no schema takes forever; patterns are RE2's; what is missing or too much
is told at its own place, one by one; no bound lets NaN and infinities pass; multiples are those of decimal numbers; and
a part of the document may be ``PENDING``.

**Pending parts.** When a version is begun, its metrics and files are not known. They are in the document as
``PENDING``, and the question is what breaks the schema *whatever they turn out to be*. So there are two questions to
ask of a schema: can it still hold, and does it hold for certain? ``not`` turns the one into the other, and ``if`` and
``oneOf`` need both. Asked of a pending part itself, each keyword can hold, and none holds for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from itertools import islice
from typing import Any

import rfc8785
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from weighbridge.core.errors import LimitExceeded
from weighbridge_server.domain.schema.json_schema.patterns import is_in

MOST_STEPS = 500_000
"""One or two seconds. Twenty-five keywords asked of each of 20,000 files are as many."""

_ANEW = 4
"""Steps that it takes, beside those of its keywords, to hold a value against a schema once more."""

PENDING = object()
"""A part of a document that is not known yet."""


class NotFinite(str):
    """NaN or an infinity in the only form that JSON has for it: a text, but one that passes no bound of numbers."""

    __slots__ = ()


Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class Evaluation:
    """One document held against one schema."""

    def __init__(self, targets: Mapping[str, Any], *, pending: bool) -> None:
        """``targets``: what each ``$ref`` stands for. ``pending``: whether a part of the document is."""
        self.targets = targets
        self.pending = pending
        self.certain = False
        """The question: does it hold for certain, or can it still hold?"""
        self._steps = 0

    def spend(self, steps: int) -> None:
        """Raises LimitExceeded when there were too many."""
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise LimitExceeded(
                f"holding this version against its schema takes more than {MOST_STEPS} steps",
                details={"limit": str(MOST_STEPS), "actual": str(self._steps)},
            )

    def errors(self, validator: Any, document: Any, most: int) -> list[ValidationError]:
        """What breaks the schema, at most so much of it.

        Raises:
            LimitExceeded: it takes too many steps to find out.
        """
        token = _running.set(self)
        try:
            return list(islice(validator.iter_errors(document), most))
        except RecursionError as fault:
            raise LimitExceeded("the schema refers to itself without end, or is nested too deeply") from fault
        finally:
            _running.reset(token)

    @contextmanager
    def other_question(self) -> Iterator[None]:
        """Within the block, the other of the two is asked. All answers must be taken inside."""
        self.certain = not self.certain
        try:
            yield
        finally:
            self.certain = not self.certain


_running: ContextVar[Evaluation] = ContextVar("evaluation")


def _counted(keyword: Keyword) -> Keyword:
    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        evaluation = _running.get()
        evaluation.spend(1 + (len(value) if isinstance(value, list | dict) else 0))
        if instance is PENDING:
            if evaluation.certain:
                yield ValidationError("is not known yet")
            return
        yield from keyword(validator, value, instance, schema) or ()

    return run


def _holds(validator: Any, schema: Any, instance: Any) -> bool:
    _running.get().spend(_ANEW)
    return bool(validator.evolve(schema=schema).is_valid(instance))


def _holds_otherwise(validator: Any, schema: Any, instance: Any) -> bool:
    """The answer to the other question."""
    evaluation = _running.get()
    if not evaluation.pending:
        return _holds(validator, schema, instance)
    with evaluation.other_question():
        return _holds(validator, schema, instance)


def _ref(validator: Any, ref: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    yield from validator.descend(instance, _running.get().targets[ref])


def _required(validator: Any, names: Sequence[str], instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError("is missing", path=[name])


def _dependent_required(
    validator: Any, dependent: Mapping[str, Sequence[str]], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for given, names in dependent.items():
            for name in names if given in instance else ():
                if name not in instance:
                    yield ValidationError(given, path=[name])


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str):
        _running.get().spend(len(instance) // 1024)
        if not is_in(instance, pattern):
            yield ValidationError("does not match")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, subschema in patterns.items():
            _running.get().spend(len(instance))
            for name, value in instance.items():
                if is_in(name, pattern):
                    yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _property_names(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in instance:
            for error in validator.descend(name, subschema):
                yield ValidationError("is no name", path=[name], context=[error])


def _extra(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """The names that neither ``properties`` nor ``patternProperties`` speak of."""
    patterns = schema.get("patternProperties", {})
    _running.get().spend(len(instance) * (1 + len(patterns)))
    return [
        name
        for name in instance
        if name not in schema.get("properties", {}) and not any(is_in(name, pattern) for pattern in patterns)
    ]


def _additional_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        yield from _each(validator, subschema, instance, _extra(instance, schema), schema)


def _unevaluated_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        others = {name: value for name, value in schema.items() if name != "unevaluatedProperties"}
        known = _evaluated(validator, instance, others)
        yield from _each(validator, subschema, instance, [name for name in instance if name not in known], schema)


def _each(
    validator: Any, subschema: Any, instance: Mapping[str, Any], names: Sequence[str], schema: Any
) -> Iterator[ValidationError]:
    for name in names:
        if subschema is False:
            yield ValidationError("is not allowed", path=[name])
        else:
            yield from validator.descend(instance[name], subschema, path=name)


def _evaluated(validator: Any, instance: Mapping[str, Any], schema: Any) -> set[str]:
    """The names of the properties that the schema, which holds, speaks of."""
    evaluation = _running.get()
    evaluation.spend(1)
    if not isinstance(schema, dict):
        return set()
    if "additionalProperties" in schema or "unevaluatedProperties" in schema:
        return set(instance)
    names = set(instance) - set(_extra(instance, schema))
    applied = [evaluation.targets[schema["$ref"]]] if "$ref" in schema else []
    for keyword in ("allOf", "anyOf", "oneOf"):
        applied += [each for each in schema.get(keyword, ()) if _holds(validator, each, instance)]
    applied += [each for name, each in schema.get("dependentSchemas", {}).items() if name in instance]
    if "if" in schema:
        answers = _answers(validator, schema["if"], instance)
        if len(answers) == 1 or not evaluation.certain:
            applied += [schema["if"], schema.get("then", True)] if True in answers else []
            applied += [schema.get("else", True)] if False in answers else []
    for each in applied:
        names |= _evaluated(validator, instance, each)
    return names


def _bound(keyword: Keyword) -> Keyword:
    """JSON Schema bounds numbers alone: a diverged model would pass the gate that a bad one does not."""

    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, NotFinite):
            yield ValidationError("is no number")
        else:
            yield from keyword(validator, value, instance, schema) or ()

    return run


def _multiple_of(validator: Any, step: float, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Of the decimal numbers that were written: as binary ones, 0.3 is no multiple of 0.1."""
    if validator.is_type(instance, "number") and (Fraction(repr(instance)) / Fraction(repr(step))).denominator != 1:
        yield ValidationError("is no multiple")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list):
        _running.get().spend(len(instance))
        # Equal JSON has equal canonical text; comparing each with each would take the square of the time.
        if len({rfc8785.dumps(item) for item in instance}) < len(instance):
            yield ValidationError("has equal items")


def _not(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if _holds_otherwise(validator, subschema, instance):
        yield ValidationError("is what is ruled out")


def _answers(validator: Any, condition: Any, instance: Any) -> set[bool]:
    """To both questions: where they differ, it is not known yet."""
    return {_holds(validator, condition, instance), _holds_otherwise(validator, condition, instance)}


def _if(validator: Any, condition: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    certain = _running.get().certain
    branches = [{True: "then", False: "else"}[answer] for answer in _answers(validator, condition, instance)]
    errors = [list(validator.descend(instance, schema.get(name, True), schema_path=name)) for name in branches]
    # Where it is not known which branch it will be, it can still hold as long as one of them can.
    if certain or all(errors):
        for each in errors if certain else errors[:1]:
            yield from each


def _one_of(validator: Any, subschemas: Sequence[Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
    context: list[ValidationError] = []
    fits = False
    for place, subschema in enumerate(subschemas):
        _running.get().spend(_ANEW)
        errors = list(validator.descend(instance, subschema, schema_path=place))
        fits = fits or not errors
        context += errors
    if not fits:
        yield ValidationError("fits none", context=context)
        return
    several = [str(place + 1) for place, each in enumerate(subschemas) if _holds_otherwise(validator, each, instance)]
    if len(several) > 1:
        yield ValidationError(" and ".join(several))


_BOUNDS = ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum")
_OWN: Mapping[str, Keyword] = {
    **{name: _bound(Draft202012Validator.VALIDATORS[name]) for name in _BOUNDS},
    "multipleOf": _bound(_multiple_of),
    "$ref": _ref,
    "additionalProperties": _additional_properties,
    "dependentRequired": _dependent_required,
    "if": _if,
    "not": _not,
    "oneOf": _one_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "propertyNames": _property_names,
    "required": _required,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
}

Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _counted(keyword) for name, keyword in {**Draft202012Validator.VALIDATORS, **_OWN}.items()},
)
"""A schema must have neither ``$schema``, which would bring the standard one back, nor ``$id``."""
