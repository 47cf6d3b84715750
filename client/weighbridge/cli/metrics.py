"""``metrics``: what a version's metrics came to, and their curves."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from weighbridge.cli.completion import complete_model
from weighbridge.cli.documents import print_json, summary_document
from weighbridge.cli.options import GlobalOptions, global_options, pass_options
from weighbridge.cli.render import print_table
from weighbridge.cli.text import visible
from weighbridge.core.curves import MetricCurve
from weighbridge.core.errors import UsageError
from weighbridge.core.values import MetricSummary

_MOST_NAMED = 20


@click.command(short_help="Show the metrics of a version and their curves.")
@click.argument("ref", shell_complete=complete_model)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--csv", "as_csv", is_flag=True, help="Print the points, as CSV: name, step, time, value.")
@click.option(
    "--points",
    type=click.IntRange(0, 1_000_000),
    metavar="N",
    help="With --csv or --json: at most N points of each curve, peaks among them; 0: all.",
)
@global_options
@pass_options
def metrics(options: GlobalOptions, ref: str, names: tuple[str, ...], as_csv: bool, points: int | None) -> None:
    """Show the metrics of a version: the latest value, the range, and how many points there are.

    REF is name (the latest), name:7, name@alias or name#b3:<digest>. The latest value is that of the highest step.

    \b
    Examples:
      weighbridge metrics fraud.tabular.transformer
      weighbridge metrics fraud.tabular.transformer:7 loss --csv > loss.csv
      weighbridge metrics fraud.tabular.transformer:7 --json --points 500
    """
    if as_csv and options.json:
        raise click.UsageError("--csv and --json are two ways to print; choose one")
    if points is not None and not (as_csv or options.json):
        raise click.UsageError("--points needs --csv or --json; the table shows no points")
    with options.connect() as client:
        version = client.version(ref)
        found = _chosen(version.ref, version.metrics or (), names)
        curves: Mapping[str, MetricCurve] = {}
        if found and (as_csv or points is not None):
            curves = client.metrics(version.ref, names, points or 0)
    if options.json:
        shown = [
            {"name": item.name, **summary_document(item), **_curve_document(curves.get(item.name))} for item in found
        ]
        print_json({"ref": version.ref, "metrics": shown})
    elif as_csv:
        _print_csv(curves.values())
    elif options.quiet:
        for item in found:
            click.echo(visible(item.name))
    elif not found:
        click.echo(f"{version.ref} has no metrics; version.log_metric and 'weighbridge push --metric' record them")
    else:
        _print_summaries(found)


def _chosen(ref: str, there: Sequence[MetricSummary], names: Sequence[str]) -> list[MetricSummary]:
    missing = [name for name in names if name not in {item.name for item in there}]
    if missing:
        listed = ", ".join(item.name for item in there[:_MOST_NAMED]) + (", …" if len(there) > _MOST_NAMED else "")
        raise UsageError(
            f"{ref} has no metric {', '.join(map(repr, missing))}; " + (f"it has {listed}" if there else "it has none")
        )
    return [item for item in there if not names or item.name in names]


def _print_summaries(found: Sequence[MetricSummary]) -> None:
    print_table(
        ["METRIC", "LATEST", "STEP", "MIN", "MAX", "POINTS"],
        [
            [
                item.name,
                f"{item.latest:g}",
                str(item.step),
                f"{item.min:g}",
                f"{item.max:g}",
                str(item.points),
            ]
            for item in found
        ],
        right=["LATEST", "STEP", "MIN", "MAX", "POINTS"],
    )


def _print_csv(curves: Iterable[MetricCurve]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["name", "step", "time", "value"])
    for curve in curves:
        name = visible(curve.name)
        out.writerows((name, *point) for point in _points(curve))


def _curve_document(curve: MetricCurve | None) -> dict[str, Any]:
    if curve is None:
        return {}
    return {"steps": curve.steps.tolist(), "times": _times(curve), "values": curve.values.tolist()}


def _points(curve: MetricCurve) -> Iterator[tuple[int, str, float]]:
    return zip(curve.steps.tolist(), _times(curve), curve.values.tolist(), strict=True)


def _times(curve: MetricCurve) -> list[str]:
    """RFC 3339 in UTC, with microseconds."""
    import numpy as np

    return [f"{time}Z" for time in np.datetime_as_string(curve.times).tolist()]
