"""What ``--param`` and ``--tag`` make of what is typed: nothing is read back that was not written."""

from __future__ import annotations

import pytest

from weighbridge.cli.pairs import scalars
from weighbridge.core.values import Scalar


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("3e-4", 0.0003),
        ("12", 12),
        ("-1.5", -1.5),
        ("0e9", 0.0),
        ("-0.0", -0.0),
        ("true", True),
        ("gpu", "gpu"),
        ("", ""),
        ('"1.10"', "1.10"),
        ("2026-10", "2026-10"),
        ("null", "null"),
        ("[1]", "[1]"),
        ("NaN", "NaN"),
        ("1234e5678", float("inf")),
        ("1e-400", "1e-400"),
        (" 1", " 1"),
        ("1 ", "1 "),
        ("01", "01"),
    ],
)
def test_a_value_is_what_it_looks_like(typed: str, value: Scalar) -> None:
    found = scalars([("name", typed)])["name"]
    assert (found, type(found)) == (value, type(value))
