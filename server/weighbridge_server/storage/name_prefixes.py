"""Names below prefixes, in SQL."""

from __future__ import annotations


def below(column: str) -> str:
    """True of a name that is one of some prefixes or begins with one in whole segments; they are one parameter."""
    return f"EXISTS (SELECT FROM unnest(%s::text[]) AS p(prefix) WHERE {column} = p.prefix OR {_under(column)})"


def below_any(column: str) -> str:
    """As ``below``, and true of every name where the prefixes, given twice, are null."""
    return f"(%s::text[] IS NULL OR {below(column)})"


def _under(column: str) -> str:
    return f"starts_with({column}, p.prefix || '.')"
