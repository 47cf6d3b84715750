"""Lineage: what versions were made from, and what was made from them."""

from __future__ import annotations

from weighbridge.calls.connected import Connected
from weighbridge.core.errors import UsageError
from weighbridge.core.lineage import Direction, Lineage
from weighbridge.core.refs import parse_ref
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert

_DIRECTIONS = ("up", "down", "both")
_DEEPEST = 10_000


class LineageCalls(Connected):
    """See ``Client``."""

    def lineage(
        self,
        ref: str | None = None,
        *,
        dataset_digest: str | None = None,
        direction: Direction = "both",
        depth: int = 0,
    ) -> Lineage:
        """What a version was made from and what was made from it, or what was made from a dataset.

        Deleted versions are in it, marked: a line of descent does not break where one was deleted.

        Args:
            ref: a version: any reference.
            dataset_digest: in place of ``ref`` the digest of a dataset, as it was recorded: the versions that record
                it, in generation 0, and all that descends from them. Nothing is above a dataset.
            direction: ``"up"`` to what the version was made from, ``"down"`` to what was made from it, or both.
            depth: how many generations each way; 0: all.

        Raises:
            UsageError: both a version and a dataset are given or neither, or a direction or depth that is none.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound.
        """
        if (ref is None) == (not dataset_digest):
            raise UsageError("a lineage begins at a version or at a dataset: give ref or dataset_digest")
        if direction not in _DIRECTIONS:
            raise UsageError(f"{direction!r} is no direction; it is one of {', '.join(_DIRECTIONS)}")
        if not 0 <= depth <= _DEEPEST:
            raise UsageError(f"a depth is a number of generations, at most {_DEEPEST}, or 0 for all; {depth} is not")
        request = versions_pb2.GetLineageRequest(direction=convert.direction_message(direction), depth=depth)
        if ref is not None:
            parse_ref(ref)
            request.ref = ref
        else:
            request.dataset_digest = _checked(dataset_digest or "")
        return convert.lineage_value(self._connection.call(self._connection.versions.GetLineage, request))


def _checked(digest: str) -> str:
    try:
        digest.encode()
    except UnicodeEncodeError as fault:
        raise UsageError(f"{digest!r} is no dataset's digest: it is not valid Unicode") from fault
    return digest
