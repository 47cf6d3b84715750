"""A lineage as a graph in the language of Graphviz: from parents to children."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.cli.text import visible
from weighbridge.cli.units import day
from weighbridge.core.lineage import Lineage, LineageNode


def dot_lines(lineage: Lineage, *, marked: bool) -> Iterator[str]:
    """The lines of the graph; ``marked``: the first node is what the lineage was asked of, and stands out."""
    yield "digraph lineage {"
    yield '  node [shape=box, fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif"];'
    for place, node in enumerate(lineage.nodes):
        yield f"  {_quoted(node.version.ref)} [{_look(node, marked and place == 0)}];"
    for edge in lineage.edges:
        yield f"  {_quoted(edge.parent)} -> {_quoted(edge.child)} [label={_quoted(str(edge.relation))}];"
    yield "}"


def _look(node: LineageNode, stands_out: bool) -> str:
    version = node.version
    lines = [version.ref, f"{version.stage}, {day(version.created_time)}"]
    lines += [data.name + (f":{data.version}" if data.version else "") for data in node.datasets]
    look = []
    if version.deletion is not None:
        lines.append("purged" if version.purged_time is not None else "deleted")
        look.append("style=dashed")
    if stands_out:
        look.append("penwidth=2")
    return ", ".join([f"label={_quoted(*lines)}", *look])


def _quoted(*lines: str) -> str:
    r"""A text of one or more lines between quotes; ``\n`` ends a line."""
    escaped = (visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"{}"'.format("\\n".join(escaped))
