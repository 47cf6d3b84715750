"""Values to messages and back. Each pair of functions stands together; both sides use them."""

from weighbridge.wire.convert.chunks import (
    chunk_list_message,
    chunk_list_value,
    chunk_value,
    file_message,
    file_summary,
)
from weighbridge.wire.convert.common import time_message, time_value
from weighbridge.wire.convert.journal import event_hash_value, event_message, event_value
from weighbridge.wire.convert.models import deletion_message, deletion_value, model_message, model_value
from weighbridge.wire.convert.records import (
    metric_message,
    metric_value,
    record_message,
    record_value,
    scalar_message,
    scalar_value,
)
from weighbridge.wire.convert.versions import (
    resolved_message,
    resolved_value,
    upload_message,
    upload_value,
    version_message,
    version_value,
)

__all__ = [
    "chunk_list_message",
    "chunk_list_value",
    "chunk_value",
    "deletion_message",
    "deletion_value",
    "event_hash_value",
    "event_message",
    "event_value",
    "file_message",
    "file_summary",
    "metric_message",
    "metric_value",
    "model_message",
    "model_value",
    "record_message",
    "record_value",
    "resolved_message",
    "resolved_value",
    "scalar_message",
    "scalar_value",
    "time_message",
    "time_value",
    "upload_message",
    "upload_value",
    "version_message",
    "version_value",
]
