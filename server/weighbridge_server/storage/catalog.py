"""The catalogue in PostgreSQL: transactions, and the journal's append at the end of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from weighbridge.core.event_hash import event_hash
from weighbridge_server.domain.journal.ports import Change
from weighbridge_server.storage import tables
from weighbridge_server.storage.alias_rows import AliasRows
from weighbridge_server.storage.approval_rows import ApprovalRows
from weighbridge_server.storage.comparison_rows import ComparisonRows
from weighbridge_server.storage.database import PooledDatabase, migrate
from weighbridge_server.storage.deployment_rows import DeploymentRows
from weighbridge_server.storage.event_rows import EventRows
from weighbridge_server.storage.journal_listener import CHANNEL
from weighbridge_server.storage.lineage_rows import LineageRows
from weighbridge_server.storage.metric_rows import MetricRows
from weighbridge_server.storage.model_rows import ModelRows
from weighbridge_server.storage.policy_rows import PolicyRows
from weighbridge_server.storage.principal_rows import PrincipalRows
from weighbridge_server.storage.request_rows import RequestRows
from weighbridge_server.storage.schema_rows import SchemaRows
from weighbridge_server.storage.search.rows import SearchRows
from weighbridge_server.storage.upload_rows import UploadRows
from weighbridge_server.storage.version_change_rows import VersionChangeRows
from weighbridge_server.storage.version_rows import VersionRows
from weighbridge_server.storage.webhook_rows import WebhookRows


class Catalog:
    """Implements the domain's ``Catalog``. Safe to use from several threads."""

    def __init__(self, url: str, *, connections: int) -> None:
        """Connects to a PostgreSQL of version 15 or newer and migrates it.

        Raises:
            StartupFailed: the database cannot be used, or a newer release wrote it.
        """
        self.database = PooledDatabase(url, connections=connections)
        self.database.open()
        try:
            tables.database.initialize(self.database)
            migrate(self.database)
        except BaseException:
            self.database.shut()
            raise

    def close(self) -> None:
        """Closes all connections."""
        self.database.shut()

    @contextmanager
    def transaction(self, actor: str = "") -> Iterator[Transaction]:
        """See the port."""
        with self.database.session(), self.database.atomic():
            transaction = Transaction(self.database, actor)
            yield transaction
            transaction.append_changes()

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """See the port."""
        with self.database.session(), self.database.atomic("REPEATABLE READ READ ONLY"):
            yield Transaction(self.database, "")


class Transaction:
    """One database transaction. Used by one thread."""

    def __init__(self, database: PooledDatabase, actor: str) -> None:
        self.actor = actor
        self.models = ModelRows(database, actor)
        self.versions = VersionRows(database, actor)
        self.version_changes = VersionChangeRows(database, actor)
        self.aliases = AliasRows(database)
        self.policies = PolicyRows(database, actor)
        self.approvals = ApprovalRows(database, actor)
        self.lineage = LineageRows(database)
        self.metrics = MetricRows(database)
        self.comparisons = ComparisonRows(database)
        self.uploads = UploadRows(database, actor)
        self.deployments = DeploymentRows(database, actor)
        self.events = EventRows(database)
        self.requests = RequestRows(database, actor)
        self.schemas = SchemaRows(database, actor)
        self.search = SearchRows(database)
        self.webhooks = WebhookRows(database, actor)
        self.principals = PrincipalRows(database, actor)
        self._database = database
        self._changes: list[Change] = []

    def record(self, change: Change) -> None:
        """See the port."""
        self._changes.append(change)

    def recorded(self, resource: str) -> Change | None:
        """See the port."""
        return next((change for change in reversed(self._changes) if change.resource == resource), None)

    def append_changes(self) -> None:
        """Appends the events. Nothing else may follow before COMMIT.

        The lock on the head makes revisions gapless and their order that of the commits: who takes it
        holds it until COMMIT. Because every change locks its model first and the head last, no two
        transactions wait for each other.
        """
        if not self._changes:
            return
        ((revision, previous, now, _),) = self._database.rows(
            "SELECT revision, hash, clock_timestamp(), pg_notify(%s, '') FROM journal_head WHERE id = 1 FOR UPDATE",
            (CHANNEL,),
        )
        rows = []
        for change in self._changes:
            revision += 1
            columns = {
                "revision": revision,
                "time": now,
                "actor": self.actor,
                "action": change.action,
                "resource": change.resource,
                "before": change.before,
                "after": change.after,
            }
            hashed = event_hash(previous, **columns)
            rows.append({**columns, "previous_hash": previous, "hash": hashed})
            previous = hashed
        tables.Event.insert_many(rows).execute()
        self._database.rows("UPDATE journal_head SET revision = %s, hash = %s WHERE id = 1", (revision, previous))
