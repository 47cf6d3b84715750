"""Tables and titles of the page."""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.report.markup import Markup, element, joined


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> Markup:
    """A table whose rows begin with their names; the columns at the places ``numbers`` stand to the right.

    What is markup is a cell already.
    """
    head = [
        element("th", column, scope="col", class_="number" if place in numbers else None)
        for place, column in enumerate(columns)
    ]
    body = [element("tr", *(_cell(cell, place, numbers) for place, cell in enumerate(row))) for row in rows]
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    # It may be wider than the window, and then moves under the arrow keys too.
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=f"table: {columns[0]}")


def _cell(cell: str, place: int, numbers: Sequence[int]) -> Markup:
    if place == 0:
        return element("th", cell, scope="row")
    return cell if isinstance(cell, Markup) else element("td", cell, class_="number" if place in numbers else None)


def section(title: str, *parts: str, note: str = "") -> Markup:
    """A part of the page under its title."""
    said = joined([title, element("span", f" {note}", class_="quiet")]) if note else title
    return element("section", element("h2", said), *parts)


def folded(summary: str, *parts: str) -> Markup:
    """What is there for who opens it."""
    return element("details", element("summary", summary), *parts)
