"""Comparing versions."""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.calls.connected import Connected
from weighbridge.core.comparison import Comparison, check_count
from weighbridge.core.direction import check_directions
from weighbridge.core.errors import UsageError
from weighbridge.core.refs import parse_ref
from weighbridge.v1 import versions_pb2
from weighbridge.wire import convert


class ComparisonCalls(Connected):
    """See ``Client``."""

    def compare(
        self, *refs: str, lower_is_better: Sequence[str] = (), higher_is_better: Sequence[str] = ()
    ) -> Comparison:
        """How versions differ, each from the first; and for each metric that got worse, what changed that may be why.

        Whether less of a metric is better follows from the words of its name (``loss``, ``error``, ``latency`` and so
        on are better lower, what has no such word is better higher, and books such as ``learning_rate`` and ``epoch``
        are neither), unless it is named here.

        Args:
            refs: two to sixteen references, of one model or of several.
            lower_is_better: metrics of which less is better.
            higher_is_better: metrics of which more is better.

        Raises:
            UsageError: fewer or more references.
            InvalidRequest: a metric is named both ways; one violation each.
            LimitExceeded: they differ in more than one answer can say; compare fewer at once. Two always fit.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted, AliasNotFound.
        """
        check_count(refs)
        for ref in refs:
            parse_ref(ref)
        lower, higher = _names("lower_is_better", lower_is_better), _names("higher_is_better", higher_is_better)
        check_directions(lower, higher)
        request = versions_pb2.CompareVersionsRequest(refs=refs, lower_is_better=lower, higher_is_better=higher)
        return convert.comparison_value(self._connection.call(self._connection.versions.CompareVersions, request))


def _names(which: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise UsageError(f"{which} is a list of names, such as [{given!r}]")
    return tuple(given)
