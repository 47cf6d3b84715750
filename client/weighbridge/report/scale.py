"""Axes: where a value stands, and the ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_PADDING = 0.04
_LEAST_SPAN = 1e-12
"""Of the magnitude of the values: below it floats have no room for ticks."""
_LARGEST = 1e300
"""Beyond it a span is no float any more."""
_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Scale:
    """An axis of values between two finite ends, ``low`` below ``high``."""

    low: float
    high: float
    ticks: Sequence[float]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one; what is beyond them is at the end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return (at - low) / (high - low)

    def label(self, tick: float) -> str:
        """A tick in few characters: ``0.25``, ``20k``, ``1e-07``."""
        if self.logarithmic or len(self.ticks) < 2:
            return short_number(tick)
        return short_number(tick, abs(self.ticks[1] - self.ticks[0]))


def linear(values: Sequence[float], most_ticks: int, *, whole: bool = False) -> Scale:
    """Holds all finite values, of which there may be none, with a little room. ``whole``: ticks at whole numbers."""
    finite = [min(max(value, -_LARGEST), _LARGEST) for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low <= _LEAST_SPAN * max(abs(low), abs(high)) or high - low < 1e-300:
        around = max(abs(low), abs(high)) * 0.1 or 1.0
        low, high = low - around, high + around
    else:
        low, high = low - _PADDING * (high - low), high + _PADDING * (high - low)
    return Scale(low, high, _round_ticks(low, high, most_ticks, 1.0 if whole else 0.0))


def logarithmic(values: Sequence[float], most_ticks: int) -> Scale | None:
    """Holds all finite values; None where one is not above 0, or they stand in one decade or so."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or min(finite) <= 0 or max(finite) / min(finite) < 20:
        return None
    low, high = min(finite) / 1.3, max(finite) * 1.3
    if low <= 0 or not math.isfinite(high):
        return None
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    every = max(1, math.ceil((last - first + 1) / most_ticks))
    ticks = [10.0**power for power in range(first, last + 1, every)]
    return Scale(low, high, ticks, logarithmic=True)


def _round_ticks(low: float, high: float, most: int, least: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, of ``least`` where that is more."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= raw)
    step = max(step, least)
    first = math.ceil(low / step)
    count = math.floor(high / step) - first + 1
    return [(first + place) * step for place in range(min(count, most + 1))]


def short_number(value: float, step: float = 0.0) -> str:
    """A number in few characters, as exact as ``step`` needs it; without one, as four digits are."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    power = math.floor(math.log10(abs(value)) + 1e-9)
    last = math.floor(math.log10(step) + 1e-9) if step else power - 3  # of the digits that are shown, by its power
    suffix = next((item for item in _SUFFIXES if abs(value) >= item[0]), (1.0, ""))
    if 4 <= power < 15:
        return f"{_plain(value / suffix[0], last - round(math.log10(suffix[0])))}{suffix[1]}"
    if -4 <= power < 4:
        return _plain(value, last)
    mantissa, exponent = f"{value:.{min(12, max(0, power - last))}e}".split("e")
    return f"{_trimmed(mantissa)}e{int(exponent)}"


def _plain(value: float, last: int) -> str:
    return _trimmed(f"{value:.{max(0, -last)}f}")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
