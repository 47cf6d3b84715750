"""Proving the journal here, event by event: the server's word that it holds is not enough for an auditor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from weighbridge.core.checkpoint import CHECKPOINT_BYTES, Checkpoint
from weighbridge.core.digest import Digest
from weighbridge.core.errors import InternalError, SourceUnreadable, UsageError
from weighbridge.core.event_chain import EventChain, broken
from weighbridge.core.event_text import LINE_BYTES, parse_event_line
from weighbridge.core.refs import check_model_name
from weighbridge.core.unicode_check import check_unicode
from weighbridge.core.values import Event
from weighbridge.v1 import journal_pb2
from weighbridge.wire import convert
from weighbridge.wire.connection import Connection

JournalProgress = Callable[[int, int], None]
"""Is told how many events are checked, and of how many; each counts twice: on the server, and here."""

Head = tuple[int, Digest]
"""A revision, and the hash at it."""


EVENTS_PER_PAGE = 1000


def events_wanted(
    model: str,
    resource: str,
    actor: str,
    action: str,
    since: datetime | None,
    until: datetime | None,
    newest_first: bool,
) -> journal_pb2.ListEventsRequest:
    """What is asked for the first page.

    Raises:
        InvalidName, InvalidRequest: a text cannot be what it is called.
        UsageError: a time is beyond the years 1 to 9999 in UTC.
    """
    if model:
        check_model_name(model)
    check_unicode("events", {"resource": resource, "actor": actor, "action": action})
    try:
        return journal_pb2.ListEventsRequest(
            page_size=EVENTS_PER_PAGE,
            model=model,
            resource=resource,
            actor=actor,
            action=action,
            after_time=None if since is None else convert.time_message(since),
            before_time=None if until is None else convert.time_message(until),
            newest_first=newest_first,
        )
    except (ValueError, OverflowError) as fault:
        raise UsageError("a time is beyond the years 1 to 9999") from fault


def server_head(connection: Connection, progress: JournalProgress) -> Head:
    """Has the server prove its journal, its own record of the newest event included; returns that event.

    Raises:
        JournalBroken: it found something.
    """
    return connection.patience().run(lambda: _server_head(connection, progress))


def _server_head(connection: Connection, progress: JournalProgress) -> Head:
    for answer in connection.stream(connection.journal.VerifyJournal, journal_pb2.VerifyJournalRequest()):
        progress(answer.revision, 2 * answer.newest_revision)
        if answer.done:
            return answer.revision, convert.event_hash_value(answer.hash, answer.revision)
    raise InternalError(f"{connection.address} ended the verification of its journal without a result")


def prove(
    events: Iterable[Event], head: Head | None, checkpoint: Checkpoint | None, server: str, progress: JournalProgress
) -> Checkpoint:
    """Computes every hash of a journal, from its first event on; returns a checkpoint of its newest.

    Args:
        events: all of them, in order of revision; what is beyond ``head`` is left alone.
        head: what the newest event must be; None: whatever comes last.
        checkpoint: what the journal must still hold.
        server: where they come from, for the checkpoint that is returned.
        progress: is told of each thousand.

    Raises:
        JournalBroken: naming the first revision that does not hold.
    """
    chain = EventChain()
    newest = head[0] if head else 0
    if checkpoint is not None and checkpoint.revision == 0:
        _check_against(checkpoint, chain)
    for event in () if head == (0, chain.hash) else events:
        chain.follow(event)
        if checkpoint is not None and checkpoint.revision == chain.revision:
            _check_against(checkpoint, chain)
        if chain.revision % 1000 == 0 or chain.revision == newest:
            progress(max(newest, chain.revision) + chain.revision, 2 * max(newest, chain.revision))
        if chain.revision == newest:
            break
    if chain.revision < newest:
        raise broken(chain.revision + 1, f"events {chain.revision + 1} to {newest} are gone")
    if head is not None and (chain.revision, chain.hash) != head:
        raise broken(newest, "the newest event is not the one that the server says it proved")
    if checkpoint is not None and checkpoint.revision > chain.revision:
        raise broken(
            chain.revision + 1,
            f"it ends at revision {chain.revision}, and the checkpoint was taken at revision {checkpoint.revision}",
        )
    return Checkpoint(server, chain.revision, chain.hash, datetime.now(UTC))


def _check_against(checkpoint: Checkpoint, chain: EventChain) -> None:
    if checkpoint.hash != chain.hash:
        raise broken(
            checkpoint.revision,
            "its hash is not that of the checkpoint: an event up to this one was changed after the checkpoint "
            "was taken, and the hashes behind it were computed anew",
        )


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file.

    Raises:
        SourceUnreadable: the file cannot be read.
        UsageError: it holds none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(CHECKPOINT_BYTES + 1)
    except OSError as fault:
        raise _unreadable(path, fault) from fault
    try:
        if len(text) > CHECKPOINT_BYTES:
            raise UsageError("it is too long")
        return Checkpoint.from_json(text.decode())
    except (UnicodeDecodeError, UsageError) as fault:
        why = fault.message if isinstance(fault, UsageError) else "it is not UTF-8"
        raise UsageError(
            f"{path} is not a checkpoint of a journal: {why}; 'weighbridge journal checkpoint' makes one"
        ) from fault


def prove_file(path: Path, checkpoint: Checkpoint | None) -> Checkpoint:
    """As ``prove``, of an exported journal: no server is asked.

    Raises:
        JournalBroken: naming the first revision that does not hold.
        SourceUnreadable: the file cannot be read.
        UsageError: it is not an export: its first line is no event.
    """
    try:
        with path.open("rb") as file:
            return prove(_events(path, file), None, checkpoint, str(path), lambda done, total: None)
    except OSError as fault:
        raise _unreadable(path, fault) from fault


def _events(path: Path, file: BinaryIO) -> Iterator[Event]:
    number = 0
    while line := file.readline(LINE_BYTES):
        number += 1
        try:
            if len(line) == LINE_BYTES:
                raise UsageError("it is too long")
            event = parse_event_line(line)
        except UsageError as fault:
            what = f"line {number} of {path} is not an event of an exported journal: {fault.message}"
            # What begins as an export is one: a line that is none was damaged, or cut off.
            raise (broken(number, what) if number > 1 else UsageError(what)) from fault
        yield event


def _unreadable(path: Path, fault: OSError) -> SourceUnreadable:
    return SourceUnreadable(f"{path} cannot be read: {fault.strerror or fault}", details={"path": str(path)})
