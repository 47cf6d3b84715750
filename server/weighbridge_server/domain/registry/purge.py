"""Letting go, for good, of what was deleted long ago.

A purged version stays as a row: its number is never given again, and descent leads through it. Of its record stay the
parents and the datasets, which is what descent is asked for. Its files, curves and facts go, and with them its hold on
chunks; collection takes those that nothing else holds.
"""

from __future__ import annotations

from weighbridge.core.principals import SYSTEM
from weighbridge.core.refs import Ref
from weighbridge.core.values import Record
from weighbridge_server.domain.ports import Catalog
from weighbridge_server.domain.registry.models import any_model
from weighbridge_server.domain.registry.record_text import record_text
from weighbridge_server.domain.registry.version_changes import record_change
from weighbridge_server.domain.registry.versions import find_version

_AT_ONCE = 100


def purge_deleted(catalog: Catalog, deleted_before_s: float) -> int:
    """Purges the next versions that were deleted so long ago; how many, 0 when none is left.

    Each is a transaction of its own. Two servers that do this at once, or a restoration in between, wait for each
    other at the model's row, and the later one finds nothing to do.
    """
    with catalog.transaction() as tx:
        due = tx.version_changes.due(deleted_before_s, _AT_ONCE)
    return sum(_purge(catalog, model, number, deleted_before_s) for model, number in due)


def _purge(catalog: Catalog, model: str, number: int, deleted_before_s: float) -> bool:
    with catalog.transaction(SYSTEM) as tx:
        any_model(tx, model, lock=True)
        if not tx.version_changes.is_due(model, number, deleted_before_s):
            return False
        before = find_version(tx, Ref(model, version=number), whole=True, deleted=True)
        assert before.record is not None, "the whole version was asked for"
        left = Record(datasets=before.record.datasets, parents=before.record.parents)
        tx.version_changes.purge(model, number, record_text(left))
        record_change(tx, "version.purged", before)
        return True
