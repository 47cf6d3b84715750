"""What people and programs read: models, versions and their records, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

from weighbridge.core.digest import Digest
from weighbridge.core.errors import Violation

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


class Role(StrEnum):
    """What somebody may do, where it is granted."""

    READER = "reader"
    """Reads."""
    CONTRIBUTOR = "contributor"
    """Reads and pushes."""
    APPROVER = "approver"
    """Reads and approves."""
    MAINTAINER = "maintainer"
    """What contributors and approvers do; moves ``@production``, sets schemas and policies, deletes."""
    ADMIN = "admin"
    """Everything, other people's tokens and grants too."""


@dataclass(frozen=True)
class Grant:
    """A role that a principal has for the models below a prefix, or for one alias or stage of them."""

    role: Role
    prefix: str
    """Whole segments of names; ``*``: all names."""
    alias: str = ""
    """Only to move this alias or stage, and to approve for it; empty: for all that the role is for."""


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
class SourceCode:
    """The code that made a version, as it was when the version was begun."""

    repository: str = ""
    """URL of the remote, without credentials."""
    commit: str = ""
    branch: str = ""
    """Empty where HEAD is detached."""
    dirty: bool = False
    """Something differed from the commit: a tracked file, or there were untracked files."""
    diff_digest: str = ""
    """``b3:`` of the diff against the commit, staged changes and those in submodules included."""
    untracked_digest: str = ""
    """``b3:`` of the list of untracked files, and of the contents of the Python files among them and of what ran."""
    entry_point: str = ""
    command: Sequence[str] = ()
    """The command line; values that their names say are secret are left out."""


@dataclass(frozen=True)
class Accelerator:
    """A device that computes beside the processor."""

    name: str
    memory_bytes: int = 0
    """0 where it is not known."""
    driver: str = ""


@dataclass(frozen=True)
class Environment:
    """Where a version was made."""

    python: str = ""
    implementation: str = ""
    os: str = ""
    platform: str = ""
    """Kernel, its release, and the architecture."""
    cpu: str = ""
    cpu_count: int = 0
    accelerators: Sequence[Accelerator] = ()
    container_image: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Installed packages and their versions."""
    packages_left_out: int = 0
    """How many packages are not listed, as the record had no room for them."""
    lock_file: str = ""
    lock_digest: str = ""
    """``b3:`` of the lock file."""
    host: str = ""
    user: str = ""


def _texts(kind: type) -> tuple[str, ...]:
    return tuple(member.name for member in fields(kind) if member.type == "str")


SOURCE_TEXTS = _texts(SourceCode)
ENVIRONMENT_TEXTS = _texts(Environment)
"""The members that are texts: what is looked at one by one when records are compared or searched."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model; -1 in ``shape`` is a dimension of any size."""

    name: str
    dtype: str = ""
    shape: Sequence[int] = ()


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives."""

    inputs: Sequence[TensorSpec] = ()
    outputs: Sequence[TensorSpec] = ()


@dataclass(frozen=True)
class Energy:
    """What making a version took; None where it is not known."""

    kwh: float | None = None
    gco2e: float | None = None
    """Grams of CO2 equivalent."""
    region: str = ""
    method: str = ""


@dataclass(frozen=True)
class Record:
    """What a version records beside its files; a part that is None was not recorded."""

    description: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, Scalar] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    parents: Sequence[Parent] = ()
    source: SourceCode | None = None
    environment: Environment | None = None
    signature: Signature | None = None
    energy: Energy | None = None


@dataclass(frozen=True)
class MetricPoint:
    """One point of a metric's curve; ``time`` is None where it is when the point comes."""

    name: str
    value: float
    step: int = 0
    time: datetime | None = None


@dataclass(frozen=True)
class MetricSummary:
    """One metric in short. NaN is never ``min`` or ``max``, unless all values are NaN."""

    name: str
    latest: float
    """Of the newest point: highest step, then latest time."""
    step: int
    points: int
    min: float
    max: float


@dataclass(frozen=True)
class Deletion:
    """How something came to be deleted."""

    time: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class Model:
    """A registered model; ``card`` is None in lists."""

    name: str
    creator: str
    owner: str
    description: str
    created_time: datetime
    latest_version: int
    """0 when nothing is committed."""
    team: str = ""
    contact: str = ""
    card: str | None = None
    """Markdown."""
    deletion: Deletion | None = None
    """Set when it is deleted."""


@dataclass(frozen=True)
class SchemaRevision:
    """Which revision of a schema; 0 is the one that the server ships."""

    prefix: str
    revision: int


@dataclass(frozen=True)
class Schema:
    """A revision of a schema."""

    prefix: str
    """Whole segments of the names that it governs; ``*``: all names."""
    revision: int
    """From 1; 0 is the one that the server ships."""
    json_schema: str | None
    """Its text; None in lists."""
    actor: str
    """Who set it; empty for the one that the server ships."""
    set_time: datetime | None
    """None for the one that the server ships."""


@dataclass(frozen=True)
class CheckedVersion:
    """A version that was held against a schema."""

    ref: str
    """``name:number``."""
    violations: Sequence[Violation]
    """What breaks the schema; empty: nothing."""
    schema: SchemaRevision | None
    """What it was held against; None: the one that was given."""


@dataclass(frozen=True)
class Version:
    """A committed version; ``record`` is None in lists, and so is ``metrics``, but for those that were asked for."""

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
    schema: SchemaRevision | None = None
    """What it passed; None where nothing governed it."""
    deletion: Deletion | None = None
    """Set when it is deleted."""
    purged_time: datetime | None = None
    """Set when its bytes were let go of, for good."""
    aliases: Sequence[str] = ()
    """Those that point at it, in order of name, ``staging`` or ``production`` among them where it holds that stage."""


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
class Alias:
    """A name for one version of a model, which may move."""

    model: str
    alias: str
    """Without ``@``."""
    version: int
    ref: str
    """``name:number``."""
    manifest: Digest
    revision: int
    """Journal revision of its last move: what ``expected_revision`` takes."""
    moved_time: datetime
    actor: str
    reason: str
    previous_ref: str = ""
    """Where it pointed before that move; empty: nowhere."""


@dataclass(frozen=True)
class AliasMove:
    """One move of an alias."""

    revision: int
    time: datetime
    actor: str
    action: str
    """``alias.set``, ``alias.deleted``, ``alias.promoted``, ``alias.cleared`` or ``alias.rolled-back``."""
    ref: str
    """Where it pointed from then on: ``name:number``; empty: nowhere."""
    previous_ref: str
    """Where it pointed before; empty: nowhere."""
    reason: str


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
