"""What the domain needs of storage: one transaction, and the rows of each of its fields."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from weighbridge.core.digest import Digest
from weighbridge_server.domain.access.ports import PrincipalRows
from weighbridge_server.domain.comparison.ports import ComparisonRows
from weighbridge_server.domain.deployments.ports import DeploymentRows
from weighbridge_server.domain.journal.ports import Change, EventRows
from weighbridge_server.domain.lifecycle.ports import AliasRows
from weighbridge_server.domain.metrics.ports import MetricRows
from weighbridge_server.domain.policy.ports import ApprovalRows, PolicyRows
from weighbridge_server.domain.registry.ports import LineageRows, ModelRows, UploadRows, VersionChangeRows, VersionRows
from weighbridge_server.domain.schema.ports import SchemaRows
from weighbridge_server.domain.search.ports import SearchRows
from weighbridge_server.domain.webhooks.ports import WebhookRows


@dataclass(frozen=True)
class RecordedRequest:
    """What an earlier call with the same request id left."""

    payload: Digest
    result: str


class Requests(Protocol):
    """What calls with a request id left, so that a second try returns the same."""

    def get(self, request_id: str) -> RecordedRequest | None:
        """Of the transaction's actor."""
        ...

    def add(self, request_id: str, payload: Digest, result: str) -> None: ...

    def forget(self, older_than_s: int) -> None: ...


class Transaction(Protocol):
    """One database transaction by one actor."""

    actor: str

    @property
    def models(self) -> ModelRows: ...
    @property
    def versions(self) -> VersionRows: ...
    @property
    def version_changes(self) -> VersionChangeRows: ...
    @property
    def aliases(self) -> AliasRows: ...
    @property
    def policies(self) -> PolicyRows: ...
    @property
    def approvals(self) -> ApprovalRows: ...
    @property
    def schemas(self) -> SchemaRows: ...
    @property
    def search(self) -> SearchRows: ...
    @property
    def lineage(self) -> LineageRows: ...
    @property
    def metrics(self) -> MetricRows: ...
    @property
    def comparisons(self) -> ComparisonRows: ...
    @property
    def uploads(self) -> UploadRows: ...
    @property
    def deployments(self) -> DeploymentRows: ...
    @property
    def events(self) -> EventRows: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def webhooks(self) -> WebhookRows: ...
    @property
    def principals(self) -> PrincipalRows: ...

    def record(self, change: Change) -> None:
        """Has the change appended to the journal as the last statements before COMMIT."""
        ...

    def recorded(self, resource: str) -> Change | None:
        """The last change of exactly this resource in this transaction, which is no event yet."""
        ...


class Catalog(Protocol):
    """Where the metadata is."""

    def transaction(self, actor: str = "") -> AbstractContextManager[Transaction]:
        """One transaction: committed when the block ends, rolled back when it raises.

        No connection is held outside such a block; do not stream weights inside one.

        Raises:
            StorageFailed: the database cannot be reached.
        """
        ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """As ``transaction``, for reading only: all statements see what was committed when the first began."""
        ...
