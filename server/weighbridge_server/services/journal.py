"""``JournalService`` on the domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc

from weighbridge.core.watching import Change
from weighbridge.v1 import journal_pb2, journal_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.journal.journal import Journal
from weighbridge_server.domain.journal.ports import EventFilter
from weighbridge_server.domain.journal.watching import Watching
from weighbridge_server.services.handlers import Serialized

_MOST_FRAMES = 64


class JournalServicer(journal_pb2_grpc.JournalServiceServicer):
    """See ``journal.proto``."""

    def __init__(self, journal: Journal, watching: Watching) -> None:
        self._journal = journal
        self._watching = watching
        self._frames: dict[tuple[int, ...], Serialized] = {}

    def ListEvents(
        self, request: journal_pb2.ListEventsRequest, context: grpc.ServicerContext
    ) -> journal_pb2.ListEventsResponse:
        wanted = EventFilter(
            resource=request.resource,
            model=request.model,
            actor=request.actor,
            action=request.action,
            after_time=convert.time_value(request.after_time) if request.HasField("after_time") else None,
            before_time=convert.time_value(request.before_time) if request.HasField("before_time") else None,
        )
        events, token = self._journal.list(
            request.page_size, request.page_token, wanted, newest_first=request.newest_first
        )
        return journal_pb2.ListEventsResponse(
            events=[convert.event_message(event) for event in events], next_page_token=token
        )

    def VerifyJournal(
        self, request: journal_pb2.VerifyJournalRequest, context: grpc.ServicerContext
    ) -> Iterator[journal_pb2.VerifyJournalResponse]:
        for proven in self._journal.verify():
            yield journal_pb2.VerifyJournalResponse(
                revision=proven.revision, hash=proven.hash.hex(), newest_revision=proven.newest, done=proven.done
            )

    def Watch(self, request: journal_pb2.WatchRequest, context: grpc.ServicerContext) -> Iterator[Any]:
        after = request.after_revision if request.HasField("after_revision") else None
        watch = self._watching.open(request.model, request.alias, after)
        if not context.add_callback(watch.close):  # its client is gone already
            watch.close()
        for each in watch:
            if isinstance(each, int):
                yield journal_pb2.WatchResponse(bookmark=journal_pb2.Bookmark(revision=each))
            elif isinstance(each, Change):
                yield journal_pb2.WatchResponse(present=convert.change_message(each))
            else:
                yield self._frame(each)

    def _frame(self, changes: Sequence[Change]) -> Serialized:
        """Changes as they are sent: the same for all who watch one thing, so that a thousand cost one message."""
        key = tuple(change.revision for change in changes)
        frame = self._frames.get(key)
        if frame is None:
            told = journal_pb2.WatchedChanges(changes=map(convert.change_message, changes))
            frame = Serialized(journal_pb2.WatchResponse(changes=told).SerializeToString())
            if len(self._frames) >= _MOST_FRAMES:
                self._frames = {}
            self._frames[key] = frame
        return frame
