"""Weighbridge: a model registry that carries the weights.

>>> import weighbridge as wb
>>> client = wb.connect()
>>> with client.begin("fraud.tabular.transformer", tags={"hardware_target": "gpu"}) as version:
...     version.log_params(lr=3e-4)
...     version.add("checkpoint/")
>>> path = client.pull("fraud.tabular.transformer", "models/")
"""

from weighbridge.client import Client, connect
from weighbridge.core.errors import (
    AliasNotFound,
    Cancelled,
    ChunkMismatch,
    ChunkNotFound,
    ChunksMissing,
    DataLoss,
    DeadlineExceeded,
    DestinationUnwritable,
    FileNotInVersion,
    InternalError,
    InvalidName,
    InvalidPath,
    InvalidReference,
    InvalidRequest,
    JournalBroken,
    LimitExceeded,
    ManifestMismatch,
    ModelExists,
    ModelNotFound,
    Overloaded,
    RequestIdReused,
    SourceChanged,
    SourceUnreadable,
    StartupFailed,
    StorageFailed,
    StorageFull,
    Unavailable,
    Unimplemented,
    UploadEnded,
    UploadNotFound,
    UsageError,
    VersionNotFound,
    Violation,
    WeighbridgeError,
)
from weighbridge.core.manifest import FileSummary
from weighbridge.core.release import __version__
from weighbridge.core.values import (
    Dataset,
    MetricPoint,
    MetricSummary,
    Model,
    Parent,
    Record,
    Relation,
    Resolved,
    Scalar,
    Stage,
    Version,
)
from weighbridge.progress import Progress
from weighbridge.pull import Pulled
from weighbridge.verify import Verified
from weighbridge.version import Pushed, VersionInProgress

__all__ = [
    "AliasNotFound",
    "Cancelled",
    "ChunkMismatch",
    "ChunkNotFound",
    "ChunksMissing",
    "Client",
    "DataLoss",
    "Dataset",
    "DeadlineExceeded",
    "DestinationUnwritable",
    "FileNotInVersion",
    "FileSummary",
    "InternalError",
    "InvalidName",
    "InvalidPath",
    "InvalidReference",
    "InvalidRequest",
    "JournalBroken",
    "LimitExceeded",
    "ManifestMismatch",
    "MetricPoint",
    "MetricSummary",
    "Model",
    "ModelExists",
    "ModelNotFound",
    "Overloaded",
    "Parent",
    "Progress",
    "Pulled",
    "Pushed",
    "Record",
    "Relation",
    "RequestIdReused",
    "Resolved",
    "Scalar",
    "SourceChanged",
    "SourceUnreadable",
    "Stage",
    "StartupFailed",
    "StorageFailed",
    "StorageFull",
    "Unavailable",
    "Unimplemented",
    "UploadEnded",
    "UploadNotFound",
    "UsageError",
    "Verified",
    "Version",
    "VersionInProgress",
    "VersionNotFound",
    "Violation",
    "WeighbridgeError",
    "__version__",
    "connect",
]
