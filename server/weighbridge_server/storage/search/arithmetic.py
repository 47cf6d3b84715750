"""Doubles as IEEE 754 has them. PostgreSQL sorts NaN above all numbers, and refuses what a double cannot hold."""

from __future__ import annotations

_LARGEST = "1.7976931348623e308::double precision"
_SMALLEST = "5e-324::double precision"
_EXACT = "9007199254740992::double precision"
"""2^53: whole numbers up to it are all there."""

_NAN = "'NaN'::double precision"
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def numbers_compare(operator: str, left: str, right: str, left_nan: bool, right_nan: bool) -> str:
    """True where a comparison is; null where an operand is. The flags say which operands may be NaN."""
    both = left_nan and right_nan
    if operator == "==":
        return f"({left} = {right} AND {left} < {_NAN})" if both else f"{left} = {right}"
    if operator == "!=":
        return f"({left} <> {right} OR {left} = {_NAN} AND {right} = {_NAN})" if both else f"{left} <> {right}"
    if operator in (">", ">="):
        left, right, right_nan, operator = right, left, left_nan, _MIRRORED[operator]
    # NaN on the left is below nothing, for PostgreSQL too; on the right everything is below it.
    return f"({left} {operator} {right} AND {right} < {_NAN})" if right_nan else f"{left} {operator} {right}"


def numbers_fail(operator: str, left: str, right: str, left_nan: bool, right_nan: bool) -> str:
    """True where ``<``, ``<=``, ``>`` or ``>=`` is false, which it is of NaN."""
    if operator in (">", ">="):
        left, right, right_nan, operator = right, left, left_nan, _MIRRORED[operator]
    opposite = ">=" if operator == "<" else ">"
    fails = f"{left} {opposite} {right}"
    return f"({fails} OR {right} = {_NAN} AND {left} IS NOT NULL)" if right_nan else fails


def arithmetic(operator: str, left: str, right: str, *, guarded: bool) -> str:
    """The result of two operands; null where it divides by zero.

    PostgreSQL raises an error where a double cannot hold a result. ``guarded`` asks before: then a result that is too
    large is null, and one that is too small 0. That takes longer, and the fewest numbers come near.
    """
    if operator == "%":
        return _remainder(left, right)
    if not guarded:
        return f"({left} / NULLIF({right}, 0))" if operator == "/" else f"({left} {operator} {right})"
    return f"(SELECT CASE {_GUARDS[operator]} END FROM (SELECT {left} AS l, {right} AS r OFFSET 0) AS operands)"


def _remainder(left: str, right: str) -> str:
    """Of whole numbers; of others there is none."""
    whole = f"l = trunc(l) AND r = trunc(r) AND abs(l) <= {_EXACT} AND abs(r) <= {_EXACT} AND r <> 0"
    return (
        f"(SELECT CASE WHEN {whole} THEN mod(l::bigint, r::bigint)::double precision END "
        f"FROM (SELECT {left} AS l, {right} AS r OFFSET 0) AS operands)"
    )


# `l` and `r` are evaluated once each. What is infinite or NaN goes through: IEEE 754 says what comes of it.
_NOT_FINITE = "abs(l) >= 'Infinity'::double precision OR abs(r) >= 'Infinity'::double precision"
_GUARDS = {
    "+": (
        f"WHEN {_NOT_FINITE} THEN l + r WHEN sign(l) = sign(r) AND abs(l) > {_LARGEST} - abs(r) THEN NULL ELSE l + r"
    ),
    "-": (
        f"WHEN {_NOT_FINITE} THEN l - r WHEN sign(l) = - sign(r) AND abs(l) > {_LARGEST} - abs(r) THEN NULL ELSE l - r"
    ),
    "*": (
        f"WHEN {_NOT_FINITE} OR l = 0 OR r = 0 THEN l * r "
        f"WHEN abs(r) > 1 AND abs(l) > {_LARGEST} / abs(r) THEN NULL "
        f"WHEN abs(r) < 1 AND abs(l) < {_SMALLEST} / abs(r) THEN 0 ELSE l * r"
    ),
    "/": (
        f"WHEN r = 0 THEN NULL WHEN {_NOT_FINITE} OR l = 0 THEN l / r "
        f"WHEN abs(r) < 1 AND abs(l) > {_LARGEST} * abs(r) THEN NULL "
        f"WHEN abs(r) > 1 AND abs(l) < {_SMALLEST} * abs(r) THEN 0 ELSE l / r"
    ),
}
