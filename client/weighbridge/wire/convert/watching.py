"""What watchers are told."""

from __future__ import annotations

from weighbridge.core.watching import Change
from weighbridge.v1 import journal_pb2
from weighbridge.wire.convert.common import time_message, time_value


def change_message(change: Change) -> journal_pb2.WatchedChange:
    """A change as a message."""
    return journal_pb2.WatchedChange(
        revision=change.revision,
        time=time_message(change.time),
        actor=change.actor,
        action=change.action,
        resource=change.resource,
        alias=change.alias,
        ref=change.ref,
        manifest_digest=change.manifest_digest,
        previous_ref=change.previous_ref,
        reason=change.reason,
    )


def change_value(message: journal_pb2.WatchedChange, *, present: bool) -> Change:
    """A message as a change. Raises: DataLoss, where its time is none."""
    return Change(
        present=present,
        revision=message.revision,
        time=time_value(message.time),
        actor=message.actor,
        action=message.action,
        resource=message.resource,
        alias=message.alias,
        ref=message.ref,
        manifest_digest=message.manifest_digest,
        previous_ref=message.previous_ref,
        reason=message.reason,
    )
