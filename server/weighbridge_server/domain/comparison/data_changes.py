"""Whether two versions were made from other data."""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.core.values import Dataset, Record
from weighbridge_server.domain.comparison.fields import same
from weighbridge_server.domain.comparison.record_fields import dataset_name, dataset_text
from weighbridge_server.domain.comparison.wording import change, cut

_TAG = "dataset_version"
"""A tag that the shipped schema asks for."""
_DIGEST_CHARS = 19


def data_recorded(record: Record) -> bool:
    """Whether a version says what data it was made from."""
    return bool(record.datasets) or _TAG in record.tags


def data_changes(before: Record, after: Record) -> list[str]:
    """What changed of the data, in words.

    Where both sides have a digest of a dataset it alone decides: other names of the same bytes are no other data.
    """
    old, new = _by_name(before.datasets), _by_name(after.datasets)
    found = []
    for name in [*old, *(name for name in new if name not in old)]:
        found += _dataset(f"dataset {name}", old.get(name, []), new.get(name, []))
    if not same(before.tags.get(_TAG), after.tags.get(_TAG)):
        found.append(change(f"tag {_TAG}", before.tags.get(_TAG), after.tags.get(_TAG)))
    return found


def _by_name(datasets: Sequence[Dataset]) -> dict[str, list[Dataset]]:
    named: dict[str, list[Dataset]] = {}
    for dataset in datasets:
        named.setdefault(dataset_name(dataset), []).append(dataset)
    return named


def _dataset(name: str, before: Sequence[Dataset], after: Sequence[Dataset]) -> list[str]:
    if len(before) == len(after) == 1:
        return _one_dataset(name, before[0], after[0])
    texts = ["; ".join(sorted(map(dataset_text, side))) if side else None for side in (before, after)]
    return [] if texts[0] == texts[1] else [change(name, *texts)]


def _one_dataset(name: str, before: Dataset, after: Dataset) -> list[str]:
    if before.digest and after.digest:
        if before.digest == after.digest:
            return []
        if before.version != after.version:
            return [change(name, before.version, after.version)]
        label = f"{name} {before.version}".rstrip()
        return [change(f"{label}: digest", *cut(before.digest, after.digest, _DIGEST_CHARS))]
    if before.version != after.version:
        return [change(name, before.version, after.version)]
    return [change(f"{name}: URI", before.uri, after.uri)] if before.uri != after.uri else []
