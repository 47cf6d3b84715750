"""What a comparison says, part by part, as parts of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC

from weighbridge.cli.units import size
from weighbridge.core.comparison import Comparison, FieldDifference, FileDifference, MetricDifference
from weighbridge.core.digest import format_digest
from weighbridge.report.markup import Markup, element, joined
from weighbridge.report.tables import folded, section, table
from weighbridge.report.wording import (
    ABSENT,
    better_text,
    change,
    change_counts,
    counts_text,
    difference,
    metric_texts,
    percent,
    short_digest,
    suspicion,
    value_texts,
    verdict,
)


def versions_section(comparison: Comparison, labels: Sequence[str]) -> Markup:
    """What is compared."""
    lettered = not labels[0].startswith(":")
    rows = [
        [
            f"{labels[place]}: {version.ref}" if lettered else version.ref,
            _long(str(comparison.description.values[place] or ABSENT)),
            str(version.stage),
            f"{version.created_time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            version.creator,
            size(version.bytes_total),
            percent(comparison.shared_bytes[place], version.bytes_total) if place else ABSENT,
            element("td", short_digest(manifest := format_digest(version.manifest)), title=manifest),
        ]
        for place, version in enumerate(comparison.versions)
    ]
    columns = ["Version", "Description", "Stage", "Committed", "By", "Size", f"Shared with {labels[0]}", "Manifest"]
    return section("Versions", table(columns, rows, numbers=(5, 6)))


def metrics_section(comparison: Comparison, labels: Sequence[str]) -> Markup | None:
    """The newest values, and how they differ from those of the first version."""
    if not comparison.metrics:
        return None
    columns = ["Metric", "Better", *(column for label in labels[1:] for column in (label, "Difference"))]
    rows = []
    for metric in comparison.metrics:
        first, *others = metric_texts(metric)
        told = [part for place, text in enumerate(others, 1) for part in (text, _told(metric, place))]
        rows.append([metric.name, better_text(metric), first, *told])
    columns.insert(2, labels[0])
    left_out = f"and {comparison.metrics_left_out} more that are not listed" if comparison.metrics_left_out else ""
    return section("Metrics", table(columns, rows, numbers=range(2, len(columns))), note=left_out)


def suspects_section(comparison: Comparison, labels: Sequence[str]) -> Markup | None:
    """What may be why metrics got worse."""
    if not comparison.suspects:
        return None
    parts = []
    for suspects in comparison.suspects:
        title, facts = suspicion(comparison, suspects, labels)
        told = [part for name, text in facts for part in (element("dt", name), element("dd", text))]
        parts.append(element("div", element("h3", title), element("dl", *told), class_="suspects"))
    return section("Suspects", *parts, note="what changed that may be why, the likeliest first")


def field_sections(comparison: Comparison, labels: Sequence[str]) -> Iterator[Markup]:
    """Everything else that versions record, what differs before what does not."""
    lists = (
        ("Parameters", "Parameter", comparison.params),
        ("Tags", "Tag", comparison.tags),
        ("Datasets", "Dataset", comparison.datasets),
        ("Parents", "Parent", comparison.parents),
        ("Code", "Field", comparison.source),
        ("Environment", "Field", comparison.environment),
        ("Packages", "Package", comparison.packages),
        ("Energy", "Field", comparison.energy),
        ("Signature", "Tensor", comparison.signature),
    )
    for title, column, fields in lists:
        if fields:
            yield _fields(title, column, fields, labels)


def files_section(comparison: Comparison, labels: Sequence[str]) -> Markup:
    """Which files differ, and how much of them is the same."""
    facts = []
    for place, counts in list(enumerate(comparison.file_counts))[1:]:
        total = comparison.versions[place].bytes_total
        shared = comparison.shared_bytes[place]
        facts.append(element("dt", labels[place]))
        text = f"{size(shared)} of {size(total)} ({percent(shared, total)}) are chunks that {labels[0]} has too"
        facts.append(element("dd", f"{counts_text(counts.added, counts.removed, counts.changed)}; {text}"))
    rows = [[file.path, *(_file_cell(file, place) for place in range(len(labels)))] for file in comparison.files]
    parts = [element("dl", *facts)]
    if rows:
        parts.append(table(["File", *labels], rows))
    left_out = comparison.files_left_out
    note = f"and {left_out} more that differ and are not listed" if left_out else ""
    return section("Files", *parts, note=note)


def _class(differs: object) -> str:
    return "long differs" if differs else "long"


def _long(text: str) -> Markup:
    """A cell whose text may be broken anywhere."""
    return element("td", text, class_="long")


def _told(metric: MetricDifference, place: int) -> Markup:
    said = verdict(metric, place)
    sign = {"better": " ▲", "worse": " ▼"}.get(said, "")
    mark = element("span", f"{said}{sign}", class_=said) if sign else said
    told = difference(metric, place)
    return element("td", joined([mark] if told == ABSENT and said else [f"{told} ", mark]), class_="number")


def _fields(title: str, column: str, fields: Sequence[FieldDifference], labels: Sequence[str]) -> Markup:
    differing = [field for field in fields if field.differs]
    alike = [field for field in fields if not field.differs]
    counts = ", ".join(change_counts(differing, place) for place in range(1, len(labels))) if len(labels) == 2 else ""
    parts = []
    if differing:
        parts.append(_field_table(column, differing, labels))
    if alike:
        verb = "does" if len(alike) == 1 else "do"
        parts.append(folded(f"{len(alike)} that {verb} not differ", _field_table(column, alike, labels)))
    return section(title, *parts, note=counts if differing else "no difference")


def _field_table(column: str, fields: Sequence[FieldDifference], labels: Sequence[str]) -> Markup:
    return table([column, *labels], [[field.name, *_field_cells(field)] for field in fields])


def _field_cells(field: FieldDifference) -> list[Markup]:
    return [
        element("td", text, class_=_class(field.differs and change(field.values[0], value)))
        for value, text in zip(field.values, value_texts(field.values), strict=True)
    ]


def _file_cell(file: FileDifference, place: int) -> Markup:
    held, said = file.sizes[place], change(file.roots[0], file.roots[place])
    text = ABSENT if held is None else size(held)
    return element("td", f"{text} {said}".rstrip(), class_=_class(said))
