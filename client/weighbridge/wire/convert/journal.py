"""Events of the journal."""

from __future__ import annotations

from weighbridge.core import values
from weighbridge.core.digest import Digest
from weighbridge.v1 import journal_pb2
from weighbridge.wire.convert.common import digest_value, time_message, time_value


def event_message(event: values.Event) -> journal_pb2.Event:
    """An event as a message."""
    return journal_pb2.Event(
        revision=event.revision,
        time=time_message(event.time),
        actor=event.actor,
        action=event.action,
        resource=event.resource,
        before_json=event.before,
        after_json=event.after,
        previous_hash=event.previous_hash.hex(),
        hash=event.hash.hex(),
    )


def event_value(message: journal_pb2.Event) -> values.Event:
    """A message as an event. Raises: DataLoss, where its time or a hash is none."""
    return values.Event(
        revision=message.revision,
        time=time_value(message.time),
        actor=message.actor,
        action=message.action,
        resource=message.resource,
        before=message.before_json,
        after=message.after_json,
        previous_hash=event_hash_value(message.previous_hash, message.revision),
        hash=event_hash_value(message.hash, message.revision),
    )


def event_hash_value(text: str, revision: int) -> Digest:
    """A hash of the journal as its 32 bytes. Raises: DataLoss."""
    return digest_value(f"b3:{text}", f"event {revision}")
