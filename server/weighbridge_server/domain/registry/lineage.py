"""What a version was made from, and what was made from it or from a dataset."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from weighbridge.core.lineage import MOST_NODES, Direction, Lineage, LineageEdge, LineageNode
from weighbridge.core.refs import parse_ref
from weighbridge_server.domain.access.callers import Readable
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.ports import Descent
from weighbridge_server.domain.registry.versions import find_version

_BATCH = 200
"""Versions whose datasets are read at once: at most 64 KiB each."""
_ANSWER_BYTES = 4_000_000
"""Of one answer, which every client takes up to 4 MiB of."""
_NODE_BYTES = 256
"""More than a version's numbers, times and digest take."""
_PART_BYTES = 4
"""More than is put around a text."""


class Lineages:
    """Lines of descent. They have no cycles: a parent is committed before its child begins to be."""

    def __init__(self, catalog: Catalog, *, most: int = MOST_NODES) -> None:
        self._catalog = catalog
        self._most = most

    def of_version(self, ref: str, direction: Direction, depth: int, readable: Readable = None) -> Lineage:
        """The ancestors and descendants of a version, as far as ``depth`` generations each way (0: all).

        Versions that the caller does not read are left out; what is beyond them is not.

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted,
            AliasNotFound.
        """
        with self._catalog.transaction() as tx:
            origin = find_version(tx, parse_ref(ref))
            key = tx.lineage.key(origin.model, origin.version)
            ways = [down for down, name in ((False, "up"), (True, "down")) if direction in (name, "both")]
            return self._graph(tx, [key], ways, depth, readable)

    def of_dataset(self, digest: str, depth: int, readable: Readable = None) -> Lineage:
        """The versions that record a dataset with this digest, and their descendants; left out as in ``of_version``."""
        with self._catalog.transaction() as tx:
            return self._graph(tx, tx.lineage.made_from_dataset(digest, self._most + 1), [True], depth, readable)

    def _graph(
        self, tx: Transaction, origins: Sequence[int], ways: Iterable[bool], depth: int, readable: Readable
    ) -> Lineage:
        generations: dict[int, int] = {}
        for down in ways:
            reached = tx.lineage.reach(origins, down=down, most=self._most + 1)
            generations |= _generations(origins, tx.lineage.among(reached), down=down, depth=depth)
        if readable is not None:
            seen = tx.lineage.readable(list(generations), readable)
            generations = {key: far for key, far in generations.items() if key in seen}
        nearest = sorted(generations, key=lambda key: (abs(generations[key]), generations[key], key))[: self._most]
        steps = tx.lineage.among(nearest)
        nodes = _that_fit(tx, nearest, generations, steps)
        refs = {key: node.version.ref for key, node in nodes.items()}
        edges = tuple(
            LineageEdge(refs[step.child], refs[step.parent], step.relation)
            for step in steps
            if step.child in refs and step.parent in refs
        )
        return Lineage(tuple(nodes.values()), edges, truncated=len(nodes) < len(generations))


def _generations(origins: Sequence[int], steps: Sequence[Descent], *, down: bool, depth: int) -> dict[int, int]:
    """How far each is from the nearest of the origins, of those that are no farther than ``depth``."""
    onward: dict[int, list[int]] = {}
    for step in steps:
        begin, end = (step.parent, step.child) if down else (step.child, step.parent)
        onward.setdefault(begin, []).append(end)
    distances = dict.fromkeys(origins, 0)
    waiting = deque(origins)
    while waiting:
        at = waiting.popleft()
        if depth and distances[at] == depth:
            continue
        for to in onward.get(at, ()):
            if to not in distances:
                distances[to] = distances[at] + 1
                waiting.append(to)
    return {key: distance if down else -distance for key, distance in distances.items()}


def _that_fit(
    tx: Transaction, keys: Sequence[int], generations: Mapping[int, int], steps: Iterable[Descent]
) -> dict[int, LineageNode]:
    """The versions, in this order, as far as one answer carries them and the steps between them."""
    beside: dict[int, list[int]] = {key: [] for key in keys}
    for step in steps:
        beside[step.child].append(step.parent)
        beside[step.parent].append(step.child)
    nodes: dict[int, LineageNode] = {}
    size_bytes = 0
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        versions, datasets = tx.versions.at(batch), tx.lineage.datasets(batch)
        for key in batch:
            node = LineageNode(versions[key], generations[key], tuple(datasets[key]))
            size_bytes += _node_bytes(node)
            size_bytes += sum(_edge_bytes(node, nodes[other]) for other in beside[key] if other in nodes)
            if nodes and size_bytes > _ANSWER_BYTES:
                return nodes
            nodes[key] = node
    return nodes


def _node_bytes(node: LineageNode) -> int:
    version = node.version
    texts = [version.model, version.ref, version.creator, *version.aliases]
    if version.deletion is not None:
        texts += [version.deletion.actor, version.deletion.reason]
    if version.schema is not None:
        texts.append(version.schema.prefix)
    for dataset in node.datasets:
        texts += [dataset.name, dataset.version, dataset.digest, dataset.uri, dataset.role]
    return _NODE_BYTES + sum(_PART_BYTES + len(text.encode()) for text in texts)


def _edge_bytes(one: LineageNode, other: LineageNode) -> int:
    return 3 * _PART_BYTES + len(one.version.ref) + len(other.version.ref)
