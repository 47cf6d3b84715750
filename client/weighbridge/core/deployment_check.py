"""What a report of a deployment must be like, checked by the SDK before it is sent and by the server again."""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.core.errors import InvalidRequest, Violation
from weighbridge.core.refs import check_alias

LONGEST_TTL_S = 86_400
_NODE_BYTES = 256


def check_report(node: str, alias: str, ttl_s: int) -> None:
    """Checks who reports, what it follows, and for how long.

    Raises:
        InvalidReference: the alias is none.
        InvalidRequest: with one violation for each thing that is wrong.
    """
    violations = list(_node(node))
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int) or not 1 <= ttl_s <= LONGEST_TTL_S:
        violations.append(Violation("ttl_s", f"is {ttl_s!r}; it is a number of seconds from 1 to {LONGEST_TTL_S}"))
    if violations:
        raise InvalidRequest("the report cannot be taken", violations=violations)
    check_alias(alias)


def check_node(node: str) -> str:
    """Returns a node's name. Raises: InvalidRequest."""
    violations = list(_node(node))
    if violations:
        raise InvalidRequest("there is no node of such a name", violations=violations)
    return node


def _node(node: str) -> Iterator[Violation]:
    if not isinstance(node, str) or not node.strip():
        yield Violation("node", "is empty; it names the node that runs the model")
    elif len(node.encode(errors="replace")) > _NODE_BYTES:
        yield Violation("node", f"is longer than {_NODE_BYTES} bytes")
    elif not node.isprintable():
        yield Violation("node", "has characters that cannot be printed")
