"""What ``import weighbridge`` offers, pinned: a name that comes or goes is a decision, made here."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import weighbridge as wb
from weighbridge.core import errors

NAMES = """
    Grant GrantedRole Identity NewToken Principal PrincipalKind Token
    Accelerator Alias AliasMove Change CheckedVersion Checkpoint Client Comparison Dataset Deletion Deployment
    Energy Environment EnvironmentCheck EnvironmentDifference Event FieldDifference FileCounts FileDifference
    FileReader FileSummary Follower Lineage LineageEdge LineageNode MetricCurve MetricDifference MetricPoint
    MetricSummary Model Parent Progress Promotion Pulled Pushed Recipe Record Relation Resolved Scalar Schema
    SchemaRevision Signature SourceCode Stage SuspectKind Suspects Swap TensorSpec Verified Version
    Approval ApprovalRequest ApprovalState ApprovalVerdict ApprovalsNeeded CheckedByPolicy IncumbentMissing
    Policy PolicyRule PolicyTerms Role RuleOutcome RuleVerdict SeenValue Verdict
    VersionInProgress Violation WeighbridgeError Zombie ZombieReason Zombies __version__ connect
    Webhook WebhookCreated WebhookDelivery verify_webhook
""".split()
ERRORS = """
    RevisionAhead ApprovalNeeded PermissionDenied PolicyNotFound PolicyRefused PrincipalExists
    PrincipalNotFound Unauthenticated WebhookNotFound SignatureInvalid
    AliasNotFound Cancelled ChunkMismatch ChunkNotFound ChunksMissing DataLoss DeadlineExceeded
    DestinationUnwritable FileNotInVersion InternalError InvalidExpression InvalidName InvalidPath InvalidReference
    InvalidRequest JournalBroken LimitExceeded ManifestMismatch ModelDeleted ModelExists ModelInUse ModelNotFound
    Overloaded RequestIdReused RevisionConflict SchemaNotFound SchemaViolated SourceChanged SourceUnreadable
    StartupFailed StorageFailed StorageFull Unavailable Unimplemented UploadEnded UploadNotFound UsageError
    VersionDeleted VersionInUse VersionNotFound WrongState
""".split()


def test_the_exported_names_are_these() -> None:
    assert sorted(wb.__all__) == sorted(NAMES + ERRORS)
    assert all(hasattr(wb, name) for name in wb.__all__)


def test_every_error_is_exported() -> None:
    assert {cls.__name__ for cls in errors.BY_REASON.values()} == set(ERRORS)


def test_the_client_does_not_import_the_server() -> None:
    script = "import sys, weighbridge, weighbridge.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not [
        name for name in loaded if name.split(".")[0] in {"weighbridge_server", "peewee", "psycopg", "pydantic"}
    ]


def test_the_core_imports_neither_grpc_nor_protobuf() -> None:
    """Read from its source: importing it loads the package, whose client does import grpc."""
    forbidden = ("grpc", "google", "peewee", "psycopg", "weighbridge_server", "weighbridge.v1", "weighbridge.wire")
    sources = list(Path(errors.__file__).parent.rglob("*.py"))
    assert len(sources) > 10
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in modules if f"{name}.".startswith(tuple(f"{bad}." for bad in forbidden))], (
                source
            )
