"""``k=v`` as it is typed on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from weighbridge.core.values import Dataset, Scalar


class Pair(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The two halves."""
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, text


class Measure(click.ParamType[tuple[str, float]]):
    """``NAME=NUMBER``."""

    name = "NAME=NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """The name and the number."""
        name, text = Pair().convert(value, param, ctx)
        try:
            return name, float(text)
        except ValueError:
            self.fail(f"{text!r} in {value!r} is not a number", param, ctx)


class DatasetName(click.ParamType[Dataset]):
    """``NAME`` or ``NAME:VERSION``."""

    name = "NAME[:VERSION]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Dataset:
        """The dataset."""
        name, _, version = str(value).partition(":")
        if not name:
            self.fail(f"{value!r} names no dataset", param, ctx)
        if version.startswith("//"):
            self.fail(
                f"{value!r} is an address; give the dataset's name here, and its address through the SDK", param, ctx
            )
        return Dataset(name, version)


def each_name_once(context: click.Context, param: click.Parameter, value: tuple[tuple[str, Any], ...]) -> Any:
    """Refuses a name that is given twice: one of its values would be lost."""
    names = [name for name, _ in value]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.BadParameter(f"{', '.join(map(repr, twice))} is given more than once", context, param)
    return value


def scalars(pairs: Iterable[tuple[str, str]]) -> dict[str, Scalar]:
    """Typed values: numbers, ``true`` and ``false`` as JSON writes them, ``"…"`` for text that looks like one.

    A number so small that it would become 0 stays text; one so large that it would become infinite is refused later.
    """
    return {name: _scalar(text) for name, text in pairs}


def _scalar(text: str) -> Scalar:
    try:
        value = json.loads(text, parse_constant=_not_json, parse_float=_number)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) and text == text.strip() else text


def _number(text: str) -> float:
    number = float(text)
    if number == 0 and text.lower().partition("e")[0].strip("-0."):
        raise ValueError(text)
    return number


def _not_json(constant: str) -> None:
    raise ValueError(constant)
