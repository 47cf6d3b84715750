"""What people and programs read: models, versions and their records, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from weighbridge.core.digest import Digest

Scalar = str | int | float | bool
"""A parameter's or a tag's value; the type is kept (1 is not 1.0)."""


class Relation(StrEnum):
    """How a version came from its parent."""

    FINE_TUNED = "fine-tuned"
    DISTILLED = "distilled"
    MERGED = "merged"
    QUANTIZED = "quantized"


class Stage(StrEnum):
    """Where a version stands on its way to production."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


@dataclass(frozen=True)
class Dataset:
    """Data that a version was made from."""

    name: str
    version: str = ""
    digest: str = ""
    uri: str = ""
    role: str = ""


@dataclass(frozen=True)
class Parent:
    """A version that another was made from."""

    ref: str
    relation: Relation = Relation.FINE_TUNED


@dataclass(frozen=True)
class Record:
    """What a version records beside its files."""

    description: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, Scalar] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    parents: Sequence[Parent] = ()


@dataclass(frozen=True)
class MetricPoint:
    """One point of a metric's curve; ``time`` is None where the server shall say when it came."""

    name: str
    value: float
    step: int = 0
    time: datetime | None = None


@dataclass(frozen=True)
class MetricSummary:
    """The newest point of one metric: highest step, then latest time."""

    name: str
    latest: float
    step: int
    points: int


@dataclass(frozen=True)
class Model:
    """A registered model."""

    name: str
    creator: str
    owner: str
    description: str
    created_time: datetime
    latest_version: int
    """0 when nothing is committed."""


@dataclass(frozen=True)
class Version:
    """A committed version; ``record`` and ``metrics`` are None in lists."""

    model: str
    version: int
    ref: str
    manifest: Digest
    stage: Stage
    creator: str
    created_time: datetime
    files_total: int
    bytes_total: int
    chunks_total: int
    record: Record | None = None
    metrics: Sequence[MetricSummary] | None = None


@dataclass(frozen=True)
class Resolved:
    """What a reference stands for, pinned."""

    model: str
    version: int
    ref: str
    manifest: Digest
    revision: int
    """Journal revision of the event that made the reference stand for this version."""


@dataclass(frozen=True)
class Upload:
    """A version on its way in."""

    upload_id: str
    model: str
    lease_expires_time: datetime
    hard_expires_time: datetime


@dataclass(frozen=True)
class Event:
    """One change, as the journal keeps it."""

    revision: int
    time: datetime
    actor: str
    action: str
    resource: str
    before: str
    """Canonical JSON; empty where there was no state."""
    after: str
    previous_hash: Digest
    hash: Digest
