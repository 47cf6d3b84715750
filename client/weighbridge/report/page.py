"""A comparison as one page of HTML: it asks for nothing, runs nothing, and opens from a file."""

from __future__ import annotations

from weighbridge.core.comparison import Comparison
from weighbridge.core.release import __version__
from weighbridge.report.curves import Curves, curves_section
from weighbridge.report.markup import Markup, element
from weighbridge.report.sections import (
    field_sections,
    files_section,
    metrics_section,
    suspects_section,
    versions_section,
)
from weighbridge.report.style import POLICY, STYLE
from weighbridge.report.wording import anything_differs, labels, title


def comparison_page(comparison: Comparison, curves: Curves, server: str) -> str:
    """The page.

    Args:
        comparison: what is shown.
        curves: of each version, in their order; of metrics that are not drawn they may be absent.
        server: where the versions are, which the page says.
    """
    short = labels(comparison.versions)
    heading = title(comparison.versions, short)
    said = f"Compared by Weighbridge {__version__} on {server}; every version beside {short[0]}, the first."
    parts = [
        versions_section(comparison, short),
        metrics_section(comparison, short),
        suspects_section(comparison, short),
        curves_section(comparison, curves, short),
        *field_sections(comparison, short),
        files_section(comparison, short),
    ]
    if not anything_differs(comparison):
        said += " Nothing differs."
    body = element(
        "body",
        element("header", element("h1", heading), element("p", said, class_="quiet")),
        element("main", *(part for part in parts if part is not None)),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", heading),
        element("style", Markup(STYLE)),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"
