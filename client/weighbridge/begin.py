"""The first call of a version: opens its upload."""

from __future__ import annotations

import uuid

from weighbridge.capture.background import Capture
from weighbridge.core.errors import ModelExists, ModelNotFound, SchemaViolated
from weighbridge.core.values import Record, Upload
from weighbridge.v1 import models_pb2, versions_pb2
from weighbridge.wire import convert
from weighbridge.wire.connection import Connection


def begin_upload(connection: Connection, model: str, record: Record, capture: Capture | None = None) -> Upload:
    """Opens an upload; registers the model when there is none of that name.

    What is captured is waited for only when the server refuses the record without it: its schema may ask for that.
    """
    try:
        return _begin(connection, model, record)
    except SchemaViolated:
        if capture is None:
            raise
    return _begin(connection, model, capture.onto(record))


def _begin(connection: Connection, model: str, record: Record) -> Upload:
    request = versions_pb2.BeginVersionRequest(
        request_id=uuid.uuid4().hex, model=model, record=convert.record_message(record)
    )
    try:
        return convert.upload_value(connection.call(connection.versions.BeginVersion, request))
    except ModelNotFound as fault:
        if fault.details.get("model") != model:  # a parent's
            raise
    try:
        create = models_pb2.CreateModelRequest(request_id=uuid.uuid4().hex, name=model)
        connection.call(connection.models.CreateModel, create)
    except ModelExists:
        pass  # another push was quicker
    return convert.upload_value(connection.call(connection.versions.BeginVersion, request))
