"""What CEL means, said once more in Python: random expressions as text, each with what it comes to for a version.

None is what is missing, and the third outcome of a condition. Nothing of the server is used here.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

import weighbridge as wb

NAMES = ("a", "b", "x y", "🦊", "'; DROP TABLE version; --")
LONG = "a" * 99
NUMBERS = (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 7.0, 1e308, 5e-324)
TEXTS = ("", "a", "ab", "b", "é", "🦊", '"', "\\", LONG, LONG + "a", LONG + "ab", LONG + "b" * 60)
RELATIONS = ("fine-tuned", "distilled")


@dataclass(frozen=True)
class Known:
    """A version that was pushed, with what was pushed."""

    version: wb.Version
    record: wb.Record
    metrics: Mapping[str, wb.MetricSummary]
    parents: Sequence[tuple[str, str]] = ()
    """Reference and relation."""
    aliases: Sequence[str] = ()


@dataclass(frozen=True)
class Expression:
    """Text, and its value for a version and the items that lists are asked for."""

    text: str
    of: Callable[[Known, Mapping[str, Any]], Any] = field(compare=False)


# -- what operators do ---------------------------------------------------------------------------

_COMPARED = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _kind(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def compared(sign: str, left: Any, right: Any) -> bool | None:
    """A comparison."""
    if left is None or right is None:
        return None
    if _kind(left) is not _kind(right):
        return {"==": False, "!=": True}.get(sign)
    if isinstance(left, bool) and sign not in ("==", "!="):
        return None
    return bool(_COMPARED[sign](left, right))


def both(terms: Sequence[bool | None]) -> bool | None:
    """``&&``."""
    if any(term is False for term in terms):
        return False
    return None if any(term is None for term in terms) else True


def either(terms: Sequence[bool | None]) -> bool | None:
    """``||``."""
    found = both([None if term is None else not term for term in terms])
    return None if found is None else not found


def computed(sign: str, left: float | None, right: float | None) -> float | None:
    """Arithmetic; what a double cannot hold is missing."""
    if left is None or right is None:
        return None
    if sign == "%":
        whole = all(math.isfinite(value) and value.is_integer() and abs(value) <= 2**53 for value in (left, right))
        return math.fmod(left, right) if whole and right else None
    if sign == "/" and right == 0:
        return None
    result = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[sign](left, right)
    if math.isinf(result) and math.isfinite(left) and math.isfinite(right):
        return None
    return float(result)


def number_of(value: Any) -> float | None:
    """A value as a number, if it is one."""
    return float(value) if _kind(value) is float else None


def text_of(value: Any) -> str | None:
    """A value as a text, if it is one."""
    return value if isinstance(value, str) else None


def quoted(text: str) -> str:
    """A text as CEL writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- what can be named ---------------------------------------------------------------------------


def _literal(value: float | str | bool) -> Expression:
    said = quoted(value) if isinstance(value, str) else repr(value).lower()
    return Expression(said, lambda known, items: value)


def _tag(section: str, name: str) -> Expression:
    text = f"{section}.{name}" if re.fullmatch("[a-z]+", name) else f"{section}[{quoted(name)}]"
    return Expression(text, lambda known, items: getattr(known.record, section).get(name))


def _metric(name: str, part: str) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> float | None:
        found = known.metrics.get(name)
        return None if found is None else float(getattr(found, part))

    return Expression(f'metrics["{name}"].{part}' if part != "latest" else f'metrics["{name}"]', value)


def _part(section: str, name: str) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> Any:
        part = getattr(known.record, section)
        found = None if part is None else getattr(part, name)
        return found if found or isinstance(found, bool | float) else None

    return Expression(f"{section}.{name}", value)


def _package(name: str) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> str | None:
        environment = known.record.environment
        return None if environment is None else environment.packages.get(name)

    return Expression(f"environment.packages[{quoted(name)}]", value)


def _own(name: str, get: Callable[[wb.Version], Any]) -> Expression:
    return Expression(name, lambda known, items: get(known.version))


VALUES = [_tag(section, name) for section in ("tags", "params") for name in NAMES]
NUMBER_FIELDS = [
    *(_metric(name, part) for name in ("m", "n.o") for part in ("latest", "min", "max", "step", "points")),
    _part("energy", "kwh"),
    _part("energy", "gco2e"),
    _part("environment", "cpu_count"),
    _own("version", lambda version: float(version.version)),
    _own("files_total", lambda version: float(version.files_total)),
    _own("bytes_total", lambda version: float(version.bytes_total)),
]
TEXT_FIELDS = [
    _part("energy", "region"),
    _part("source", "commit"),
    _part("source", "repository"),
    _part("environment", "python"),
    _package("numpy"),
    _package("x y"),
    Expression("description", lambda known, items: known.record.description),
    _own("creator", lambda version: version.creator),
    _own("model", lambda version: version.model),
    _own("ref", lambda version: version.ref),
]
TRUTH_FIELDS = [_part("source", "dirty")]


# -- random expressions --------------------------------------------------------------------------


def _arithmetic(sign: str, left: Expression, right: Expression) -> Expression:
    return Expression(
        f"({left.text} {sign} {right.text})",
        lambda known, items: computed(sign, number_of(left.of(known, items)), number_of(right.of(known, items))),
    )


def _negative(operand: Expression) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> float | None:
        number = number_of(operand.of(known, items))
        return None if number is None else -number

    return Expression(f"(-{operand.text})", value)


def _size(text: Expression) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> float | None:
        found = text_of(text.of(known, items))
        return None if found is None else float(len(found))

    return Expression(f"size({text.text})", value)


def _compare(sign: str, left: Expression, right: Expression) -> Expression:
    return Expression(
        f"({left.text} {sign} {right.text})",
        lambda known, items: compared(sign, left.of(known, items), right.of(known, items)),
    )


def _not(operand: Expression) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> bool | None:
        found = operand.of(known, items)
        return not found if isinstance(found, bool) else None

    return Expression(f"!{operand.text}", value)


def _logic(sign: str, terms: Sequence[Expression]) -> Expression:
    outcome = both if sign == "&&" else either

    def value(known: Known, items: Mapping[str, Any]) -> bool | None:
        found = [term.of(known, items) for term in terms]
        return outcome([one if isinstance(one, bool) else None for one in found])

    return Expression(f"({f' {sign} '.join(term.text for term in terms)})", value)


def _choose(condition: Expression, then: Expression, otherwise: Expression) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> Any:
        chosen = condition.of(known, items)
        if not isinstance(chosen, bool):
            return None
        return (then if chosen else otherwise).of(known, items)

    return Expression(f"({condition.text} ? {then.text} : {otherwise.text})", value)


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
}


def _text_test(test: str, text: Expression, part: Expression) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> bool | None:
        found, sought = text_of(text.of(known, items)), text_of(part.of(known, items))
        return None if found is None or sought is None else _TESTS[test](found, sought)

    return Expression(f"{text.text}.{test}({part.text})", value)


def _one_of(operand: Expression, options: Sequence[Expression]) -> Expression:
    def value(known: Known, items: Mapping[str, Any]) -> bool | None:
        found = operand.of(known, items)
        return None if found is None else any(compared("==", found, option.of(known, items)) for option in options)

    return Expression(f"({operand.text} in [{', '.join(option.text for option in options)}])", value)


def _has(named: Expression) -> Expression:
    return Expression(f"has({named.text})", lambda known, items: named.of(known, items) is not None)


def _within(section: str, name: str) -> Expression:
    return Expression(f"({quoted(name)} in {section})", lambda known, items: name in getattr(known.record, section))


def _item(row: str, name: str, of: Callable[[Any], Any]) -> Expression:
    return Expression(f"{row}.{name}", lambda known, items: of(items[row]))


def _asked(
    rows: str, function: str, row: str, condition: Expression, get: Callable[[Known], Sequence[Any]]
) -> Expression:
    outcome = either if function == "exists" else both

    def value(known: Known, items: Mapping[str, Any]) -> bool | None:
        found = [condition.of(known, {**items, row: item}) for item in get(known)]
        return outcome([one if isinstance(one, bool) else None for one in found])

    return Expression(f"{rows}.{function}({row}, {condition.text})", value)


def _is_plain(expression: Expression) -> bool:
    """Not a value that may be of any kind, which is compared and chosen as what it is."""
    return expression not in VALUES


_compare_signs = st.sampled_from(sorted(_COMPARED))
_numbers = st.recursive(
    st.sampled_from([*NUMBER_FIELDS, *map(_literal, NUMBERS)]),
    lambda numbers: st.one_of(
        st.builds(_arithmetic, st.sampled_from("+-*/%"), numbers | st.sampled_from(VALUES), numbers),
        st.builds(_negative, numbers),
        st.builds(_size, st.sampled_from([*TEXT_FIELDS, *VALUES])),
    ),
    max_leaves=4,
)
_texts = st.sampled_from([*TEXT_FIELDS, *map(_literal, TEXTS)])
_values = st.sampled_from(VALUES)
_literals = st.sampled_from([*map(_literal, NUMBERS), *map(_literal, TEXTS)])


def _conditions_of_items(row: str, rows: str) -> st.SearchStrategy[Expression]:
    if rows == "datasets":
        fields = [_item(row, name, operator.attrgetter(name)) for name in ("name", "version", "digest", "role")]
        tests = st.builds(_compare, _compare_signs, st.sampled_from(fields), _texts)
    else:
        relation = _item(row, "relation", lambda parent: parent[1])
        ref = _item(row, "ref", lambda parent: parent[0])
        tests = st.one_of(
            st.builds(_compare, _compare_signs, st.just(relation), st.sampled_from([*map(_literal, RELATIONS)])),
            st.builds(_compare, _compare_signs, st.just(ref), st.sampled_from(TEXT_FIELDS)),
        )
    return tests | st.builds(lambda terms: _logic("&&", terms), st.lists(tests, min_size=2, max_size=2))


_lists = st.one_of(
    st.builds(
        lambda function, condition: _asked("datasets", function, "d", condition, lambda known: known.record.datasets),
        st.sampled_from(["exists", "all"]),
        _conditions_of_items("d", "datasets"),
    ),
    st.builds(
        lambda function, condition: _asked("parents", function, "p", condition, lambda known: known.parents),
        st.sampled_from(["exists", "all"]),
        _conditions_of_items("p", "parents"),
    ),
)
_atoms = st.one_of(
    st.builds(_compare, _compare_signs, _numbers, _numbers),
    st.builds(_compare, _compare_signs, _texts, _texts),
    st.builds(_compare, _compare_signs, _values, _numbers | _texts | _values),
    st.builds(_compare, _compare_signs, _numbers | _texts, _values),
    st.builds(_compare, st.sampled_from(["==", "!="]), _values, st.sampled_from([_literal(True), *TRUTH_FIELDS])),
    st.builds(_text_test, st.sampled_from(sorted(_TESTS)), _texts | _values, _texts),
    st.builds(_one_of, _values, st.lists(_literals | st.just(_literal(True)), max_size=3)),
    st.builds(_one_of, _numbers, st.lists(st.sampled_from([*map(_literal, NUMBERS)]), max_size=3)),
    st.builds(
        _one_of, st.sampled_from(TEXT_FIELDS[:6]), st.lists(st.sampled_from([*map(_literal, TEXTS)]), max_size=3)
    ),
    st.builds(_has, st.sampled_from([*VALUES, *NUMBER_FIELDS[:13], *TEXT_FIELDS[:6], *TRUTH_FIELDS])),
    st.builds(_within, st.sampled_from(["tags", "params"]), st.sampled_from(NAMES)),
    st.sampled_from([*VALUES, *TRUTH_FIELDS]),
    _lists,
)
conditions = st.recursive(
    _atoms,
    lambda terms: st.one_of(
        st.builds(_not, terms),
        st.builds(_logic, st.sampled_from(["&&", "||"]), st.lists(terms, min_size=2, max_size=3)),
        st.builds(_choose, terms, terms.filter(_is_plain), terms.filter(_is_plain)),
        st.builds(_compare, st.sampled_from(["==", "!="]), terms.filter(_is_plain), terms.filter(_is_plain)),
    ),
    max_leaves=6,
)
"""Conditions; a value of a tag that is one by itself, too."""

keys = st.one_of(st.sampled_from([*VALUES, *NUMBER_FIELDS, *TEXT_FIELDS, *TRUTH_FIELDS]), _numbers)
"""What can be sorted by."""


def sort_key(value: Any) -> tuple[int, Any]:
    """Numbers before texts before truth values before what is missing; each kind in its order."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return (4, 0)
    if isinstance(value, datetime):
        return (0, value)
    if isinstance(value, bool):
        return (3, value)
    return (1, float(value)) if isinstance(value, int | float) else (2, value[:100])
