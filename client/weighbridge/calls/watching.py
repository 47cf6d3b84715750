"""Watching an alias or a model."""

from __future__ import annotations

import math
from collections.abc import Iterator

from weighbridge.calls.connected import Connected
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.refs import parse_watched
from weighbridge.core.watching import Change
from weighbridge.v1 import journal_pb2
from weighbridge.wire import convert


class WatchCalls(Connected):
    """See ``Client``."""

    def watch(self, ref: str, *, after_revision: int | None = None) -> Iterator[Change]:
        """How an alias stands, then each of its moves, once and in order, for as long as it is iterated.

        A connection that is lost is made again, for as long as it takes, and nothing is missed or repeated. Only a
        server that was never there is an error at once.

        Args:
            ref: ``name@alias``, whether there is one yet or not; or ``name``: each of its aliases, then everything that
                happens to the model.
            after_revision: go on behind the ``revision`` of a change that was taken before, in place of how it stands.

        Raises:
            RevisionAhead: the journal has not come so far, as after a restore of an older backup.
            InvalidName, InvalidReference, ModelNotFound, ModelDeleted.
        """
        model, alias = parse_watched(ref)
        return self._watched(journal_pb2.WatchRequest(model=model, alias=alias, after_revision=after_revision))

    def _watched(self, request: journal_pb2.WatchRequest) -> Iterator[Change]:
        patience = self._connection.patience()
        stood: set[tuple[str, int]] = set()
        while True:
            try:
                for response in self._connection.stream(self._connection.journal.Watch, request):
                    patience = self._connection.patience(limit_s=math.inf)  # it is there: it will come back
                    kind = response.WhichOneof("message")
                    if kind == "bookmark":
                        request.after_revision = response.bookmark.revision
                    elif kind == "changes":
                        for change in response.changes.changes:
                            yield convert.change_value(change, present=False)
                            request.after_revision = change.revision
                    elif kind == "present":
                        # Of a model several may stand: the bookmark behind them is where to go on from. A stream that
                        # ends before it begins anew, and says again how those stand that were taken.
                        key = response.present.alias, response.present.revision
                        if key not in stood:
                            stood.add(key)
                            yield convert.change_value(response.present, present=True)
                        if request.alias:
                            request.after_revision = response.present.revision
            except WeighbridgeError as error:
                patience.pause_after(error)
