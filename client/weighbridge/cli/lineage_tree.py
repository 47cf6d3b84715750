"""A lineage as trees: what a version was made from, and what was made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from weighbridge.cli.render import console
from weighbridge.cli.text import visible
from weighbridge.cli.units import day
from weighbridge.core.lineage import Direction, Lineage, LineageNode
from weighbridge.core.values import Dataset

_DEEPEST = 32
"""A longer line would run out of any terminal; it says how to go on."""
_DIGEST_CHARS = 19


@dataclass(frozen=True)
class _Branch:
    """A version on its way into a tree."""

    ref: str
    relation: str
    indent: str
    last: bool
    level: int


class _Tree:
    """The trees of one direction. A version that comes twice is printed once in full."""

    def __init__(self, lineage: Lineage, onward: Mapping[str, Mapping[str, str]], flag: str) -> None:
        self._nodes = {node.version.ref: node for node in lineage.nodes}
        self._onward = onward
        self._flag = flag
        self._shown: set[str] = set()

    def lines(self, roots: Mapping[str, str]) -> Iterator[Text]:
        """Of roots and how each is related; a line each. Not a recursion: a line of descent may be long."""
        waiting = self._branches(roots, "", 1)
        while waiting:
            branch = waiting.pop()
            onward = self._onward.get(branch.ref, {})
            line = Text(f"{branch.indent}{'└─ ' if branch.last else '├─ '}")
            if branch.ref in self._shown:
                yield line.append(_related(branch)).append("  (see above)", "dim")
                continue
            yield line.append_text(_said(self._nodes[branch.ref], branch.relation))
            indent = f"{branch.indent}{'   ' if branch.last else '│  '}"
            if branch.level == _DEEPEST and onward:
                yield Text(f"{indent}… goes on: weighbridge lineage {visible(branch.ref)} {self._flag}", "dim")
                continue
            self._shown.add(branch.ref)
            waiting += self._branches(onward, indent, branch.level + 1)

    def _branches(self, of: Mapping[str, str], indent: str, level: int) -> list[_Branch]:
        """The last first: they are taken from the end."""
        there = [ref for ref in of if ref in self._nodes]
        branches = [_Branch(ref, of[ref], indent, last=False, level=level) for ref in there[:-1]]
        branches += [_Branch(ref, of[ref], indent, last=True, level=level) for ref in there[-1:]]
        return branches[::-1]


def print_tree(lineage: Lineage, direction: Direction, dataset: str | None) -> None:
    """The origin, then a tree for each direction; or of a dataset what was made from it."""
    out = console()
    if dataset is not None:
        roots = {node.version.ref: "" for node in lineage.nodes if node.generation == 0}
        said = "made from the dataset" if roots else "nothing was made from the dataset"
        out.print(Text.assemble(f"{said} ", (visible(dataset), "bold")), soft_wrap=True)
        _print(_Tree(lineage, _onward(lineage, down=True), "--down").lines(roots))
        return
    origin = lineage.nodes[0]
    out.print(_said(origin, ""), soft_wrap=True)
    for way, header, nothing in (
        ("up", "made from", "made from nothing that is recorded"),
        ("down", "made into", "nothing was made from it"),
    ):
        if direction not in (way, "both"):
            continue
        onward = _onward(lineage, down=way == "down")
        roots = dict(onward.get(origin.version.ref, {}))
        out.print(Text(header if roots else nothing, "dim"), soft_wrap=True)
        _print(_Tree(lineage, onward, f"--{way}").lines(roots))


def _print(lines: Iterator[Text]) -> None:
    out = console()
    for line in lines:
        out.print(line, soft_wrap=True)


def _onward(lineage: Lineage, *, down: bool) -> dict[str, dict[str, str]]:
    """From each version where to, and by which relations, in the order of the nodes."""
    places = {node.version.ref: place for place, node in enumerate(lineage.nodes)}
    steps: dict[str, dict[str, str]] = {}
    for edge in lineage.edges:
        begin, end = (edge.parent, edge.child) if down else (edge.child, edge.parent)
        of = steps.setdefault(begin, {})
        of[end] = ", ".join(filter(None, [of.get(end, ""), str(edge.relation)]))
    return {
        ref: dict(sorted(of.items(), key=lambda step: places.get(step[0], len(places)))) for ref, of in steps.items()
    }


def _related(branch: _Branch) -> str:
    return "  ".join(filter(None, [visible(branch.ref), branch.relation]))


def _said(node: LineageNode, relation: str) -> Text:
    version = node.version
    facts = [relation, str(version.stage), day(version.created_time), _data(node.datasets)]
    line = Text.assemble((visible(version.ref), "bold"), "  ", "  ".join(filter(None, facts)))
    if version.deletion is not None:
        how = "purged" if version.purged_time is not None else "deleted"
        line.append(f"  {how}: {visible(version.deletion.reason)}", "red")
    return line


def _data(datasets: Sequence[Dataset]) -> str:
    return f"data: {', '.join(visible(_named(data)) for data in datasets)}" if datasets else ""


def _named(data: Dataset) -> str:
    """``transactions:2026-10 (train)``; by its digest where it has no version."""
    digest = data.digest if len(data.digest) <= _DIGEST_CHARS else data.digest[:_DIGEST_CHARS] + "…"
    which = f":{data.version}" if data.version else f" {digest}" if digest else ""
    return f"{data.name}{which}{f' ({data.role})' if data.role else ''}"
