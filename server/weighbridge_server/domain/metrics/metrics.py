"""The curves of metrics: logged while training runs, and afterwards; read whole or thinned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from weighbridge.core.curve_check import check_curves
from weighbridge.core.curves import MetricCurve, part
from weighbridge.core.digest import format_digest
from weighbridge.core.errors import DataLoss, InvalidRequest, Violation
from weighbridge.core.refs import parse_ref
from weighbridge_server.domain.canonical import canonical_json
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.domain.metrics.curves import (
    completed,
    curves_digest,
    thinned,
    without_first,
)
from weighbridge_server.domain.metrics.metric_log import add_curves
from weighbridge_server.domain.metrics.ports import CurveSummary, MetricLog
from weighbridge_server.domain.policy.automatic import promote_automatically
from weighbridge_server.domain.ports import Catalog, Transaction
from weighbridge_server.domain.registry.models import existing_model
from weighbridge_server.domain.registry.uploads import LEASE_S, open_upload
from weighbridge_server.domain.registry.versions import find_version

_READ_AT_ONCE = 32_768
"""Points of one part of a curve; with the block that passes this mark, one message carries it."""

_LEAST_THINNED = 4
"""The first, the last, the highest and the lowest."""

_MOST_NAMED = 20
"""How many metrics an event names."""


class Metrics:
    """The curves of uploads and of committed versions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def log_to_upload(
        self, actor: str, upload_id: str, writer: str, first_sequence: int, curves: Sequence[MetricCurve]
    ) -> int:
        """Adds points to an open upload of the caller; returns the number of the writer's newest point.

        Raises:
            UploadNotFound, UploadEnded, InvalidRequest, LimitExceeded.
        """
        check_curves(curves)
        with self._catalog.transaction(actor) as tx:
            open_upload(tx, upload_id, lock=True)
            tx.uploads.renew(upload_id, LEASE_S)
            log = tx.metrics.of_upload(upload_id)
            add_curves(tx, log, _new(tx, log, writer, first_sequence, curves))
            return tx.metrics.last_sequence(log.log_id, writer)

    def log_to_version(
        self, actor: str, ref: str, writer: str, first_sequence: int, curves: Sequence[MetricCurve]
    ) -> int:
        """Adds points to a committed version; returns the number of the writer's newest point.

        Raises:
            InvalidReference, InvalidName, ModelNotFound, ModelDeleted, VersionNotFound, VersionDeleted,
            AliasNotFound, InvalidRequest, LimitExceeded.
        """
        check_curves(curves)
        parsed = parse_ref(ref)
        with self._catalog.transaction(actor) as tx:
            existing_model(tx, parsed.model, lock=True)
            version = find_version(tx, parsed)
            log = tx.metrics.of_version(version.model, version.version)
            new = _new(tx, log, writer, first_sequence, curves)
            if new:
                add_curves(tx, log, new)
                tx.record(Change("version.metrics-logged", version.ref, "", _logged(new)))
                tx.policies.lock(shared=True)
                promote_automatically(tx, find_version(tx, parse_ref(version.ref), whole=True))
            return tx.metrics.last_sequence(log.log_id, writer)

    def read(self, ref: str, names: Sequence[str], most_points: int) -> Iterator[MetricCurve]:
        """The curves in order of name, each in parts that a message carries; see ``thinned``.

        Args:
            ref: any reference.
            names: of which metrics, those that there are; empty: all.
            most_points: of each curve; 0: all.

        Raises:
            InvalidReference, InvalidName, InvalidRequest, ModelNotFound, ModelDeleted, VersionNotFound,
            VersionDeleted, AliasNotFound.
        """
        if 0 < most_points < _LEAST_THINNED:
            raise InvalidRequest(
                "a curve keeps its first, last, highest and lowest point however much it is thinned",
                violations=[Violation("most_points", f"is {most_points}; it is 0 or at least {_LEAST_THINNED}")],
            )
        with self._catalog.transaction() as tx:
            version = find_version(tx, parse_ref(ref))
            log = tx.metrics.of_version(version.model, version.version)
            found = tx.metrics.summaries(log.log_id, names or None)
        for group in _groups(found.values()):
            begun = self._read(log.log_id, list(group), 0, max(group.values()))
            for name, points in group.items():
                parts = self._parts(log.log_id, begun.pop(name), points)
                yield from thinned(parts, points, most_points) if most_points else parts

    def _parts(self, log_id: int, found: MetricCurve, points: int) -> Iterator[MetricCurve]:
        """The first ``points`` points of a curve whose begin was read; what comes meanwhile is not among them."""
        start = 0
        while True:
            yield part(found, 0, points - start)
            start += len(found)
            if start >= points:
                return
            found = self._read(log_id, [found.name], start, points)[found.name]

    def _read(self, log_id: int, names: Sequence[str], start: int, end: int) -> dict[str, MetricCurve]:
        with self._catalog.transaction() as tx:
            found = tx.metrics.read(log_id, names, start, min(start + _READ_AT_ONCE, end))
        for name in names:
            if name not in found:
                raise DataLoss(f"the curve of {name!r} has no point {start}, which it should have")
        return found


def _groups(summaries: Iterable[CurveSummary]) -> Iterator[dict[str, int]]:
    """Names with their numbers of points, so many together as are read at once."""
    group: dict[str, int] = {}
    together = 0
    for summary in summaries:
        if group and together + summary.points > _READ_AT_ONCE:
            yield group
            group, together = {}, 0
        group[summary.name] = summary.points
        together += summary.points
    if group:
        yield group


def _new(
    tx: Transaction, log: MetricLog, writer: str, first_sequence: int, curves: Sequence[MetricCurve]
) -> list[MetricCurve]:
    """What of a request did not come before; keeps that it did now."""
    reached = tx.metrics.last_sequence(log.log_id, writer)
    if first_sequence > reached + 1:
        raise InvalidRequest(
            "points before these never came",
            violations=[Violation("first_sequence", f"is {first_sequence}; the writer's next point is {reached + 1}")],
        )
    last = first_sequence + sum(map(len, curves)) - 1
    if last <= reached:
        return []
    tx.metrics.reach(log.log_id, writer, last)
    return without_first([completed(curve, log.now) for curve in curves], reached + 1 - first_sequence)


def _logged(curves: Sequence[MetricCurve]) -> str:
    """What the journal says of late points: how many, of which metrics, and a digest that binds them."""
    names = [curve.name for curve in curves]
    return canonical_json(
        {
            "points": sum(map(len, curves)),
            "points_digest": format_digest(curves_digest(curves)),
            "metrics": names[:_MOST_NAMED],
            "metrics_total": len(names),
        }
    )
