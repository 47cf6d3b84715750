"""Models."""

from __future__ import annotations

from weighbridge.core import values
from weighbridge.v1 import models_pb2
from weighbridge.wire.convert.common import time_message, time_value


def model_message(model: values.Model) -> models_pb2.Model:
    """A model as a message."""
    return models_pb2.Model(
        name=model.name,
        creator=model.creator,
        owner=model.owner,
        description=model.description,
        created_time=time_message(model.created_time),
        latest_version=model.latest_version,
        team=model.team,
        contact=model.contact,
        card=model.card,
        deletion=None if model.deletion is None else deletion_message(model.deletion),
    )


def model_value(message: models_pb2.Model) -> values.Model:
    """A message as a model."""
    return values.Model(
        name=message.name,
        creator=message.creator,
        owner=message.owner,
        description=message.description,
        created_time=time_value(message.created_time),
        latest_version=message.latest_version,
        team=message.team,
        contact=message.contact,
        card=message.card if message.HasField("card") else None,
        deletion=deletion_value(message.deletion) if message.HasField("deletion") else None,
    )


def deletion_message(deletion: values.Deletion) -> models_pb2.Deletion:
    """A deletion as a message."""
    return models_pb2.Deletion(time=time_message(deletion.time), actor=deletion.actor, reason=deletion.reason)


def deletion_value(message: models_pb2.Deletion) -> values.Deletion:
    """A message as a deletion."""
    return values.Deletion(time_value(message.time), message.actor, message.reason)
