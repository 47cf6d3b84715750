"""Values to messages and back. Each pair of functions stands together; both sides use them."""

from weighbridge.wire.convert.aliases import (
    alias_message,
    alias_move_message,
    alias_move_value,
    alias_value,
    promotion_message,
    promotion_value,
)
from weighbridge.wire.convert.chunks import (
    chunk_list_message,
    chunk_list_value,
    chunk_value,
    file_message,
    file_summary,
)
from weighbridge.wire.convert.common import time_message, time_value
from weighbridge.wire.convert.comparison import comparison_message, comparison_value
from weighbridge.wire.convert.curves import curve_message, curve_value
from weighbridge.wire.convert.deployments import (
    deployment_message,
    deployment_value,
    zombies_message,
    zombies_value,
)
from weighbridge.wire.convert.journal import event_hash_value, event_message, event_value
from weighbridge.wire.convert.lineage import direction_message, direction_value, lineage_message, lineage_value
from weighbridge.wire.convert.models import deletion_message, deletion_value, model_message, model_value
from weighbridge.wire.convert.records import (
    metric_message,
    metric_value,
    record_message,
    record_value,
    scalar_message,
    scalar_value,
)
from weighbridge.wire.convert.schemas import checked_message, checked_value, schema_message, schema_value
from weighbridge.wire.convert.versions import (
    resolved_message,
    resolved_value,
    stage_message,
    stage_value,
    upload_message,
    upload_value,
    version_message,
    version_value,
)
from weighbridge.wire.convert.watching import change_message, change_value

__all__ = [
    "alias_message",
    "alias_move_message",
    "alias_move_value",
    "alias_value",
    "change_message",
    "change_value",
    "checked_message",
    "checked_value",
    "chunk_list_message",
    "chunk_list_value",
    "chunk_value",
    "comparison_message",
    "comparison_value",
    "curve_message",
    "curve_value",
    "deletion_message",
    "deletion_value",
    "deployment_message",
    "deployment_value",
    "direction_message",
    "direction_value",
    "event_hash_value",
    "event_message",
    "event_value",
    "file_message",
    "file_summary",
    "lineage_message",
    "lineage_value",
    "metric_message",
    "metric_value",
    "model_message",
    "model_value",
    "promotion_message",
    "promotion_value",
    "record_message",
    "record_value",
    "resolved_message",
    "resolved_value",
    "scalar_message",
    "scalar_value",
    "schema_message",
    "schema_value",
    "stage_message",
    "stage_value",
    "time_message",
    "time_value",
    "upload_message",
    "upload_value",
    "version_message",
    "version_value",
    "zombies_message",
    "zombies_value",
]
