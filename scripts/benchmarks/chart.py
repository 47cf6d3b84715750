"""The throughput section as horizontal bars: a row of panels for each place, push and pull side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.contest import OURS, VERBS
from benchmarks.report import Bar

_OURS_COLOUR = "#1f6f5c"
_COLOUR = "#b9c2c8"
_INK = "#22282c"


def draw(path: Path, bars: Sequence[Bar], size_bytes: int) -> None:
    """Writes the chart of at least one bar; ``size_bytes`` is what was moved."""
    places = list(dict.fromkeys(bar.place for bar in bars))
    names = list(dict.fromkeys(bar.contender for bar in bars))
    names.sort(key=lambda name: name != OURS)
    figure, panels = pyplot.subplots(
        len(places), len(VERBS), squeeze=False, figsize=(10, 0.9 + (0.7 + 0.36 * len(names)) * len(places))
    )
    for row, place in zip(panels, places, strict=True):
        for axes, verb in zip(row, VERBS, strict=True):
            seconds = {bar.contender: bar.seconds for bar in bars if (bar.place, bar.what) == (place, verb)}
            _panel(axes, names, [seconds.get(name) for name in names])
            axes.set_title(f"{verb}, {place}", loc="left", fontsize=11, color=_INK)
        row[1].set_yticklabels([])
    figure.suptitle(
        f"Seconds for {_size(size_bytes)} of bf16 weights, shorter is better",
        x=0.01,
        ha="left",
        fontsize=13,
        color=_INK,
    )
    figure.tight_layout(w_pad=2, h_pad=1.2)
    figure.savefig(path, dpi=160)
    pyplot.close(figure)


def _panel(axes: Axes, names: Sequence[str], seconds: Sequence[float | None]) -> None:
    """One bar a name, ours in colour, each with its seconds at its end; nothing else needs to be there."""
    colours = [_OURS_COLOUR if name == OURS else _COLOUR for name in names]
    axes.barh(range(len(names)), [value or 0 for value in seconds], color=colours, height=0.66)
    longest = max((value for value in seconds if value is not None), default=1)
    for number, value in enumerate(seconds):
        text = "not measured" if value is None else f"{value:.2f}"
        weight = "bold" if names[number] == OURS else "normal"
        axes.text((value or 0) + longest * 0.015, number, text, va="center", fontsize=10, color=_INK, weight=weight)
    axes.set_yticks(range(len(names)), names, fontsize=10, color=_INK)
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.14)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.3g} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.3g} MB"
