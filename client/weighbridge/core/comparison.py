"""How versions differ, as plain values. Each list of values stands in the order of the versions that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from weighbridge.core.digest import Digest
from weighbridge.core.errors import UsageError
from weighbridge.core.values import MetricSummary, Scalar, Version

FEWEST_VERSIONS = 2
MOST_VERSIONS = 16


class SuspectKind(StrEnum):
    """What can make a metric worse."""

    DATA = "data"
    CODE = "code"
    ENVIRONMENT = "environment"
    PARAMETERS = "parameters"
    PARENTS = "parents"


@dataclass(frozen=True)
class MetricDifference:
    """One metric, by its newest values."""

    name: str
    lower_is_better: bool | None
    """None: neither way is, as of a learning rate or a count of steps."""
    values: Sequence[MetricSummary | None]
    """None where the version does not have it."""
    differences: Sequence[float | None]
    """From the first version; None where one of the two is missing or NaN, or both are the same infinity."""
    better: Sequence[bool | None]
    """Than in the first version. NaN is worse than any number. None: neither, or one of the two is missing."""


@dataclass(frozen=True)
class FieldDifference:
    """One named value."""

    name: str
    values: Sequence[Scalar | None]
    """None where the version does not have it."""
    differs: bool
    """Not the same in all versions, but for those that record nothing of its kind."""


@dataclass(frozen=True)
class FileDifference:
    """One file that is not the same in all versions."""

    path: str
    sizes: Sequence[int | None]
    """In bytes; None where the version does not have it."""
    roots: Sequence[Digest | None]
    """What names the content: equal roots, equal bytes."""


@dataclass(frozen=True)
class FileCounts:
    """How many files a version has more, less and other than the first."""

    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(frozen=True)
class Suspects:
    """What may be why metrics are worse in a version than in the first."""

    version_index: int
    """The version's place."""
    metrics: Sequence[str]
    """What is worse: either how good the model is, or what it costs (time, memory, energy)."""
    changes: Mapping[SuspectKind, Sequence[str]]
    """What changed, in words, the likeliest kind first. Empty: nothing that was recorded did."""
    not_recorded: Sequence[SuspectKind]
    """What cannot be ruled out, as one of the two versions records nothing of it."""


@dataclass(frozen=True)
class Comparison:
    """How versions differ from the first of them, and why metrics may have got worse.

    A version that records nothing of its code makes no difference in ``source``: what is not known is not another. So
    it is with ``environment``, ``packages``, ``energy`` and ``signature``.
    """

    versions: Sequence[Version]
    """Without records and metrics."""
    description: FieldDifference
    metrics: Sequence[MetricDifference]
    params: Sequence[FieldDifference]
    tags: Sequence[FieldDifference]
    datasets: Sequence[FieldDifference]
    """By name, with the role in brackets; values are version, digest and URI, as far as they are said."""
    parents: Sequence[FieldDifference]
    """By reference; values are relations."""
    source: Sequence[FieldDifference]
    environment: Sequence[FieldDifference]
    packages: Sequence[FieldDifference]
    """Only those that differ."""
    energy: Sequence[FieldDifference]
    signature: Sequence[FieldDifference]
    files: Sequence[FileDifference]
    """Only those that differ."""
    file_counts: Sequence[FileCounts]
    shared_bytes: Sequence[int]
    """Of each version, the bytes of its chunks that the first has too."""
    suspects: Sequence[Suspects]
    metrics_left_out: int = 0
    """How many metrics are not listed, as one answer has no room for them."""
    files_left_out: int = 0
    """How many files that differ are not listed."""


def check_count(refs: Sequence[str]) -> None:
    """Raises UsageError unless so many references can be compared."""
    if not FEWEST_VERSIONS <= len(refs) <= MOST_VERSIONS:
        raise UsageError(f"comparing takes {FEWEST_VERSIONS} to {MOST_VERSIONS} references; it was given {len(refs)}")
