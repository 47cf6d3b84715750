"""A comparison on a terminal: tables of what differs, and what may be why at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

import click
from rich.cells import cell_len
from rich.text import Text

from weighbridge.cli.render import console, print_facts, print_table
from weighbridge.cli.text import visible
from weighbridge.cli.units import moment, size
from weighbridge.core.comparison import Comparison, FieldDifference, FileDifference, MetricDifference
from weighbridge.core.digest import Digest, format_digest
from weighbridge.report.wording import (
    ABSENT,
    anything_differs,
    better_text,
    change,
    change_counts,
    counts_text,
    difference,
    labels,
    made_elsewhere,
    metric_texts,
    percent,
    short_digest,
    short_texts,
    suspicion,
    title,
    value_texts,
    verdict,
)

_STYLES = {"worse": "bold red", "better": "green"}
_GAP = 2
_WIDEST = 120
"""Columns further apart are hard to read across, wherever they are printed."""
_IN = "IN"
"""The column that says which versions a row is of."""

Group = list[list[str]]
"""The rows of one name, which only the first of them has."""


def print_comparison(comparison: Comparison, *, everything: bool) -> None:
    """Prints it; ``everything``: what does not differ, too."""
    short = labels(comparison.versions)
    if not everything and made_elsewhere(comparison):
        comparison = replace(comparison, source=[field for field in comparison.source if field.name != "command"])
    click.echo(visible(title(comparison.versions, short)))
    _versions(comparison, short)
    if not anything_differs(comparison):
        click.echo("\nnothing differs")
        if not everything:
            return
    _metrics(comparison, short)
    for name, fields in (
        ("param", comparison.params),
        ("tag", comparison.tags),
        ("dataset", comparison.datasets),
        ("parent", comparison.parents),
        ("code", comparison.source),
        ("environment", comparison.environment),
        ("package", comparison.packages),
        ("energy", comparison.energy),
        ("signature", comparison.signature),
        ("description", (comparison.description,)),
    ):
        _fields(name, [field for field in fields if field.differs or (everything and _told(field))], short)
    _files(comparison, short)
    for suspects in comparison.suspects:
        click.echo()
        heading, facts = suspicion(comparison, suspects, short)
        *above, last = _wrapped(visible(heading), console().width).splitlines()
        for line in above:
            console().print(Text(visible(line), style="bold"), soft_wrap=True)
        room = console().width - max(len(name) for name, _ in facts) - 2 * _GAP
        print_facts(last, [(name, _wrapped(text, room)) for name, text in facts])


def _told(field: FieldDifference) -> bool:
    return any(value is not None for value in field.values)


def _versions(comparison: Comparison, short: Sequence[str]) -> None:
    lettered = not short[0].startswith(":")
    rows = []
    for place, version in enumerate(comparison.versions):
        shared = percent(comparison.shared_bytes[place], version.bytes_total) if place else ABSENT
        facts = [str(version.stage), size(version.bytes_total), shared, moment(version.created_time)]
        rows.append([*([short[place]] if lettered else []), version.ref, *facts])
    columns = [*([""] if lettered else []), "VERSION", "STAGE", "SIZE", "SHARED", "CREATED"]
    _print_whole(columns, [[row] for row in rows], right=["SIZE", "SHARED"], widest=console().width)


def _metrics(comparison: Comparison, short: Sequence[str]) -> None:
    if not comparison.metrics:
        return
    click.echo()
    if len(short) == 2:
        columns = ["METRIC", "BETTER", short[0], short[1], "DIFFERENCE"]
        rows = [
            [metric.name, better_text(metric), *metric_texts(metric), *_outcome(metric, 1)]
            for metric in comparison.metrics
        ]
        _print_whole([*columns, ""], [[row] for row in rows], right=columns[2:])
    else:
        groups = [
            [
                [
                    *((metric.name, better_text(metric)) if place == 0 else ("", "")),
                    label,
                    value,
                    *(_outcome(metric, place) if place else ("", "")),
                ]
                for place, (label, value) in enumerate(zip(short, metric_texts(metric), strict=True))
            ]
            for metric in comparison.metrics
        ]
        _print_whole(["METRIC", "BETTER", _IN, "VALUE", "DIFFERENCE", ""], groups, right=["VALUE", "DIFFERENCE"])
    if comparison.metrics_left_out:
        click.echo(f"… and {comparison.metrics_left_out} more metrics")


def _outcome(metric: MetricDifference, place: int) -> tuple[str, str]:
    return difference(metric, place), verdict(metric, place)


def _fields(name: str, fields: Sequence[FieldDifference], short: Sequence[str]) -> None:
    if not fields:
        return
    click.echo()
    if name == "package":
        for place in range(1, len(short)):
            click.echo(f"packages of {short[place]}: {change_counts(fields, place)}")
    if len(short) == 2:
        groups = [[[field.name, *short_texts(name, field)]] for field in fields]
        _print_whole([name.upper(), *short], groups)
    else:
        groups = [_by_value(name, field, short) for field in fields]
        _print_whole([name.upper(), _IN, "VALUE"], groups)


def _by_value(kind: str, field: FieldDifference, short: Sequence[str]) -> Group:
    """Each value once, with the versions that have it."""
    places: dict[str, list[str]] = {}
    shown: dict[str, str] = {}
    for label, whole, text in zip(short, value_texts(field.values), short_texts(kind, field), strict=True):
        places.setdefault(whole, []).append(label)
        shown[whole] = text
    return [
        [field.name if row == 0 else "", " ".join(having), shown[whole]]
        for row, (whole, having) in enumerate(places.items())
    ]


def _files(comparison: Comparison, short: Sequence[str]) -> None:
    if not comparison.files:
        return
    click.echo()
    for place in range(1, len(short)):
        counts, total = comparison.file_counts[place], comparison.versions[place].bytes_total
        shared = comparison.shared_bytes[place]
        told = counts_text(counts.added, counts.removed, counts.changed)
        click.echo(
            f"files of {short[place]}: {told}; {size(shared)} of {size(total)} ({percent(shared, total)}) "
            f"shared with {short[0]}"
        )
    if len(short) == 2:
        groups = [
            [[file.path, *map(_size, file.sizes), change(file.roots[0], file.roots[1])]] for file in comparison.files
        ]
        _print_whole(["FILE", *short, ""], groups, right=short)
    else:
        columns = ["FILE", _IN, "CONTENT", "SIZE"]
        _print_whole(columns, [_by_content(file, short) for file in comparison.files], right=["SIZE"])
    if comparison.files_left_out:
        click.echo(f"… and {comparison.files_left_out} more files that differ")


def _size(size_bytes: int | None) -> str:
    return ABSENT if size_bytes is None else size(size_bytes)


def _by_content(file: FileDifference, short: Sequence[str]) -> Group:
    """Each content once, with the versions that have it."""
    places: dict[Digest | None, list[str]] = {}
    for label, root in zip(short, file.roots, strict=True):
        places.setdefault(root, []).append(label)
    sizes = dict(zip(file.roots, map(_size, file.sizes), strict=True))
    return [
        [
            file.path if row == 0 else "",
            " ".join(having),
            ABSENT if root is None else short_digest(format_digest(root)),
            sizes[root],
        ]
        for row, (root, having) in enumerate(places.items())
    ]


def _print_whole(
    columns: Sequence[str], groups: list[Group], *, right: Sequence[str] = (), widest: int = _WIDEST
) -> None:
    """A table from which nothing is left out: what is too wide for it stands below, a value a line."""
    room = min(console().width, widest)
    fitting = list(groups)
    while fitting and sum(_widths(columns, fitting)) + _GAP * (len(columns) - 1) > room:
        fitting.remove(max(fitting, key=lambda group: max(sum(map(cell_len, map(visible, row))) for row in group)))
    rows = [row for group in fitting for row in group]
    if fitting or columns[0]:
        print_table(columns if fitting else columns[:1], rows, right=right, styles=_STYLES)
    for group in groups:
        if group in fitting:
            continue
        print_facts(group[0][0], _as_facts(columns, group))


def _as_facts(columns: Sequence[str], group: Group) -> list[tuple[str, str]]:
    """A line for each version or for those that have one value, by their names; in a table of two, one for each."""
    place = columns.index(_IN) if _IN in columns else len(columns)
    facts = [(column, cell) for column, cell in zip(columns[1:place], group[0][1:place], strict=True) if cell]
    return facts + [(row[place], "  ".join(filter(None, row[place + 1 :]))) for row in group if place < len(columns)]


def _widths(columns: Sequence[str], groups: list[Group]) -> list[int]:
    rows = [list(columns), *(row for group in groups for row in group)]
    return [max(cell_len(visible(row[place])) for row in rows) for place in range(len(columns))]


def _wrapped(text: str, room: int) -> str:
    """Sentences broken between words, so that they stay in their column."""
    return "\n".join(
        line
        for sentence in text.splitlines()
        for line in textwrap.wrap(
            sentence, max(room, 20), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    )
