"""Lines of descent."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.core.lineage import Direction, Lineage, LineageEdge, LineageNode
from weighbridge.v1 import versions_pb2
from weighbridge.wire.convert.records import dataset_message, dataset_value, relation_message, relation_value
from weighbridge.wire.convert.versions import version_message, version_value

_DIRECTIONS: Mapping[Direction, versions_pb2.LineageDirection.ValueType] = {
    "both": versions_pb2.LINEAGE_DIRECTION_BOTH,
    "up": versions_pb2.LINEAGE_DIRECTION_UP,
    "down": versions_pb2.LINEAGE_DIRECTION_DOWN,
}
_DIRECTIONS_BACK = {number: direction for direction, number in _DIRECTIONS.items()}


def direction_message(direction: Direction) -> versions_pb2.LineageDirection.ValueType:
    """A direction as its number."""
    return _DIRECTIONS[direction]


def direction_value(number: versions_pb2.LineageDirection.ValueType) -> Direction:
    """A number as a direction; where none is said, both."""
    return _DIRECTIONS_BACK.get(number, "both")


def lineage_message(lineage: Lineage) -> versions_pb2.Lineage:
    """A lineage as a message."""
    return versions_pb2.Lineage(
        nodes=[
            versions_pb2.LineageNode(
                version=version_message(node.version),
                generation=node.generation,
                datasets=[dataset_message(dataset) for dataset in node.datasets],
            )
            for node in lineage.nodes
        ],
        edges=[
            versions_pb2.LineageEdge(child=edge.child, parent=edge.parent, relation=relation_message(edge.relation))
            for edge in lineage.edges
        ],
        truncated=lineage.truncated,
    )


def lineage_value(message: versions_pb2.Lineage) -> Lineage:
    """A message as a lineage. Raises: as ``version_value`` and ``relation_value``."""
    return Lineage(
        nodes=tuple(
            LineageNode(
                version_value(node.version),
                node.generation,
                tuple(dataset_value(dataset) for dataset in node.datasets),
            )
            for node in message.nodes
        ),
        edges=tuple(LineageEdge(edge.child, edge.parent, relation_value(edge.relation)) for edge in message.edges),
        truncated=message.truncated,
    )
