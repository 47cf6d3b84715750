"""``JournalService`` on the domain."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from weighbridge.v1 import journal_pb2, journal_pb2_grpc
from weighbridge.wire import convert
from weighbridge_server.domain.journal import Journal


class JournalServicer(journal_pb2_grpc.JournalServiceServicer):
    """See ``journal.proto``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def ListEvents(
        self, request: journal_pb2.ListEventsRequest, context: grpc.ServicerContext
    ) -> journal_pb2.ListEventsResponse:
        events, token = self._journal.list(request.resource, request.page_size, request.page_token)
        return journal_pb2.ListEventsResponse(
            events=[convert.event_message(event) for event in events], next_page_token=token
        )

    def VerifyJournal(
        self, request: journal_pb2.VerifyJournalRequest, context: grpc.ServicerContext
    ) -> Iterator[journal_pb2.VerifyJournalResponse]:
        for revision, digest, done in self._journal.verify():
            yield journal_pb2.VerifyJournalResponse(revision=revision, hash=digest.hex(), done=done)
