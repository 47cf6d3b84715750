"""The journal: reading it and proving it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from weighbridge.calls.connected import Connected, PathLike
from weighbridge.core.checkpoint import Checkpoint
from weighbridge.core.values import Event
from weighbridge.journal import JournalProgress, events_wanted, load_checkpoint, prove, server_head
from weighbridge.v1 import journal_pb2
from weighbridge.wire import convert


class JournalCalls(Connected):
    """See ``Client``."""

    def events(
        self,
        *,
        model: str = "",
        resource: str = "",
        actor: str = "",
        action: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = False,
    ) -> Iterator[Event]:
        """The changes that the journal keeps, in order of revision: those for which all hold that are given.

        Args:
            model: what happened to this model, and to its versions and aliases.
            resource: what happened to this, such as ``fraud.tabular.transformer:7``, and to what is under it.
            actor: what this one did, as the journal has it.
            action: an action such as ``version.committed``, or with a dot at its end all that begin so.
            since: at this time or later; a time without a zone is local.
            until: before this time.
            newest_first: in descending order of revision.

        Raises:
            InvalidName, InvalidRequest, UsageError.
        """
        wanted = events_wanted(model, resource, actor, action, since, until, newest_first)

        def page(token: str) -> tuple[Sequence[journal_pb2.Event], str]:
            wanted.page_token = token
            answer = self._connection.call(self._connection.journal.ListEvents, wanted)
            return answer.events, answer.next_page_token

        return map(convert.event_value, self._pages("events", page))

    def verify_journal(
        self, checkpoint: Checkpoint | PathLike | None = None, *, progress: JournalProgress | None = None
    ) -> Checkpoint:
        """Proves that the journal is what was written, from its first event to its newest; returns where it stands.

        The server checks itself, its own record of the newest event included. Then all events come here, every hash
        is computed again, and the newest must be the one that the server named. What was cut off from the end, or
        written anew with hashes that fit, only a checkpoint shows: keep those that this returns somewhere else.

        Args:
            checkpoint: one that was taken before, or its file; the journal must still hold it.
            progress: is told how many events are checked, and of how many; each counts twice, there and here.

        Raises:
            JournalBroken: ``details["revision"]`` is the first revision that does not hold.
            SourceUnreadable, UsageError: the checkpoint's file cannot be read, or holds none.
        """
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            checkpoint = load_checkpoint(Path(checkpoint))
        told = progress or (lambda done, total: None)
        head = server_head(self._connection, told)
        return prove(self.events(), head, checkpoint, self.server, told)

    def checkpoint(self) -> Checkpoint:
        """A checkpoint of the journal as it stands, after proving it. Raises as ``verify_journal``."""
        return self.verify_journal()
