"""Builds the whole server from its settings: the one place where the parts meet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from weighbridge.core import codec
from weighbridge.core.errors import StartupFailed
from weighbridge.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    deployments_pb2,
    deployments_pb2_grpc,
    journal_pb2,
    journal_pb2_grpc,
    lifecycle_pb2,
    lifecycle_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    transfer_pb2,
    transfer_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
    webhooks_pb2,
    webhooks_pb2_grpc,
)
from weighbridge.wire.channel import READ_OPTIONS
from weighbridge_server.data_directory import DataDirectory
from weighbridge_server.domain.access.authentication import Authentication
from weighbridge_server.domain.access.first_admin import ensure_administrator
from weighbridge_server.domain.access.principals import Principals
from weighbridge_server.domain.comparison.comparisons import Comparisons
from weighbridge_server.domain.deployments.deployments import Deployments
from weighbridge_server.domain.deployments.zombies import ZombieSearch
from weighbridge_server.domain.housekeeping import Housekeeping
from weighbridge_server.domain.journal.feed import Feed
from weighbridge_server.domain.journal.journal import Journal
from weighbridge_server.domain.journal.watching import Watching
from weighbridge_server.domain.lifecycle.aliases import Aliases
from weighbridge_server.domain.lifecycle.rollback import Rollbacks
from weighbridge_server.domain.lifecycle.stages import Stages
from weighbridge_server.domain.metrics.metrics import Metrics
from weighbridge_server.domain.policy.approvals import Approvals
from weighbridge_server.domain.policy.policies import Policies
from weighbridge_server.domain.registry.lineage import Lineages
from weighbridge_server.domain.registry.models import Models
from weighbridge_server.domain.registry.reading import Reading
from weighbridge_server.domain.registry.uploads import Uploads
from weighbridge_server.domain.registry.version_changes import VersionChanges
from weighbridge_server.domain.registry.versions import Versions
from weighbridge_server.domain.schema.schemas import Schemas
from weighbridge_server.domain.webhooks.deliveries import Deliveries
from weighbridge_server.domain.webhooks.webhooks import Webhooks
from weighbridge_server.durable_files import write_durably
from weighbridge_server.http_post import HttpPost
from weighbridge_server.postgres import EmbeddedPostgres
from weighbridge_server.services.access import AccessInterceptor
from weighbridge_server.services.admin import AdminServicer
from weighbridge_server.services.admission import Admission
from weighbridge_server.services.arrival import MOST_WAITING, ArrivalInterceptor, Arrivals
from weighbridge_server.services.authentication import AuthenticationInterceptor
from weighbridge_server.services.chunk_frames import ChunkFrameInterceptor
from weighbridge_server.services.deployments import DeploymentServicer
from weighbridge_server.services.interceptor import CallInterceptor
from weighbridge_server.services.journal import JournalServicer
from weighbridge_server.services.lifecycle import LifecycleServicer
from weighbridge_server.services.models import ModelServicer
from weighbridge_server.services.stall import StallWatch
from weighbridge_server.services.streams import StreamInterceptor
from weighbridge_server.services.transfer import TransferServicer
from weighbridge_server.services.validation import ValidationInterceptor
from weighbridge_server.services.versions import VersionServicer
from weighbridge_server.services.webhooks import WebhookServicer
from weighbridge_server.settings import Settings
from weighbridge_server.storage.catalog import Catalog
from weighbridge_server.storage.catalog_index import CatalogIndex
from weighbridge_server.storage.journal_listener import JournalListener
from weighbridge_server.storage.pack_directory import PackDirectory
from weighbridge_server.storage.pack_store import PackStore

_log = structlog.get_logger("server")

_SERVICES = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (models_pb2, "ModelService"),
        (versions_pb2, "VersionService"),
        (transfer_pb2, "TransferService"),
        (lifecycle_pb2, "LifecycleService"),
        (journal_pb2, "JournalService"),
        (deployments_pb2, "DeploymentService"),
        (webhooks_pb2, "WebhookService"),
        (admin_pb2, "AdminService"),
    )
)
_SPARE_THREADS = 32
"""Beside the streams, so that short calls and health checks always run."""

_OTHER_STREAMS = 8
"""How many other streams run at once: curves that are read, checks of policies and schemas, journals that are
verified, reflection."""

_WATCHES = 1024
"""How many watches run at once. Each holds a thread, which sleeps."""

_SHORT_CALLS_S = 5.0
"""How long calls that are no transfers may go on at the end."""

_LOOPBACK = ("localhost", "::1")

_STALL_FALLBACK = 1.25
"""An upload that waits for its client ends itself, with a status; what cannot is cancelled a little later."""


class Server:
    """A running server. A context manager: what was started is stopped in reverse, whatever happens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts = ExitStack()
        self.postgres: EmbeddedPostgres | None = None
        """The embedded database, when it is used."""

        self._admission = Admission(settings.transfer_streams, "transfers")
        self._stop_grace_s = _SHORT_CALLS_S
        self._health = health.HealthServicer()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    def start(self) -> str:
        """Starts everything; returns ``HOST:PORT`` as it is served, once calls succeed.

        Call it from the main thread, which the embedded database's life is tied to.

        Raises:
            StartupFailed: a directory, a port, a database or a setting stands in the way.
        """
        settings = self._settings
        codec.prepare()
        directory = DataDirectory.open(settings.data)
        self._parts.callback(directory.close)
        url = self._database(directory)
        catalog = Catalog(url, connections=settings.database_connections)
        self._parts.callback(catalog.close)
        if settings.auth:
            _prepare_authentication(settings, catalog, directory)
        store = PackStore(
            PackDirectory(directory.packs),
            CatalogIndex(catalog.database),
            streams=settings.transfer_streams,
            stall_s=settings.stall_s,
        )
        self._parts.callback(store.close)
        housekeeping = Housekeeping(catalog, purge_after_days=settings.purge_after_days)
        housekeeping.start()
        self._parts.callback(housekeeping.close)
        feed = Feed()
        listener = JournalListener(url, catalog, feed)
        listener.start()
        self._parts.callback(listener.close)
        sender = HttpPost()
        deliveries = Deliveries(catalog, feed, sender)
        deliveries.start()
        self._parts.callback(deliveries.close)
        return self._serve(catalog, store, feed, sender)

    def _database(self, directory: DataDirectory) -> str:
        if self._settings.database:
            return self._settings.database
        self.postgres = EmbeddedPostgres(
            directory.postgres,
            lock_fd=directory.lock_fd,
            bin_dir=self._settings.postgres_bin,
            max_connections=self._settings.database_connections + 20,
        )
        self._parts.callback(self.postgres.stop)
        return self.postgres.start()

    def _serve(self, catalog: Catalog, store: PackStore, feed: Feed, sender: HttpPost) -> str:
        schemas = Schemas(catalog, shipped=self._settings.default_schema)
        uploads, versions = Uploads(catalog, store, schemas), Versions(catalog)
        authentication = Authentication(catalog)
        principals = Principals(catalog, authentication.forget)
        reading = Reading(catalog, store)
        most_threads = self._settings.transfer_streams + _OTHER_STREAMS + _WATCHES + MOST_WAITING + _SPARE_THREADS
        threads = ThreadPoolExecutor(most_threads, thread_name_prefix="grpc")
        stalls = StallWatch(self._settings.stall_s * _STALL_FALLBACK)
        self._parts.callback(stalls.close)
        arrivals = Arrivals(self._settings.stall_s)
        self._parts.callback(arrivals.close)
        # Who calls is known before anything of theirs is looked at. Whether they may is judged by a request that keeps
        # its rules; of a stream by its first message, which has only so long to come.
        recognising, judging = [], []
        if self._settings.auth:
            recognising = [AuthenticationInterceptor(authentication)]
            judging = [AccessInterceptor(authentication, uploads.model_of, principals.administrators)]
        server = grpc.server(
            threads,
            interceptors=[
                ArrivalInterceptor(arrivals),
                CallInterceptor(),
                *recognising,
                ValidationInterceptor(),
                StreamInterceptor(
                    self._admission,
                    Admission(_WATCHES, "watches"),
                    Admission(_OTHER_STREAMS, "curves, checks and verifications"),
                    stalls,
                ),
                *judging,
                ChunkFrameInterceptor(),
            ],
            options=[
                # The default lets a second server share a taken port in silence.
                ("grpc.so_reuseport", 0),
                *READ_OPTIONS,
                # Clients ping idle connections every 30 s; the default takes that for an attack.
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        models_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(Models(catalog)), server)
        versions_pb2_grpc.add_VersionServiceServicer_to_server(
            VersionServicer(
                uploads,
                versions,
                Metrics(catalog),
                VersionChanges(catalog),
                Lineages(catalog),
                Comparisons(catalog),
            ),
            server,
        )
        transfer_pb2_grpc.add_TransferServiceServicer_to_server(TransferServicer(uploads, reading), server)
        lifecycle = LifecycleServicer(
            Aliases(catalog), Stages(catalog), Rollbacks(catalog), schemas, Policies(catalog), Approvals(catalog)
        )
        lifecycle_pb2_grpc.add_LifecycleServiceServicer_to_server(lifecycle, server)
        journal_pb2_grpc.add_JournalServiceServicer_to_server(
            JournalServicer(Journal(catalog), Watching(catalog, feed)), server
        )
        deployments_pb2_grpc.add_DeploymentServiceServicer_to_server(
            DeploymentServicer(Deployments(catalog), ZombieSearch(catalog)), server
        )
        webhooks_pb2_grpc.add_WebhookServiceServicer_to_server(WebhookServicer(Webhooks(catalog, sender)), server)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(principals), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        address = _bind(server, self._settings.listen)
        server.start()
        self._parts.callback(threads.shutdown)
        self._parts.callback(lambda: server.stop(self._stop_grace_s).wait())
        for service in ("", *_SERVICES):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return address

    def drain(self, given_up: Callable[[], bool]) -> None:
        """Health first says NOT_SERVING; then running transfers have ``drain_s`` to end; no new one begins.

        Short calls still work meanwhile, since an upload needs them to go on. ``given_up`` is asked whether
        to end at once. An upload that ends meanwhile has its packs sealed and its chunks acknowledged; what is
        still open when the server closes is sealed too, for the next try to find.
        """
        self._health.enter_graceful_shutdown()
        if not self._admission.drain(self._settings.drain_s, given_up):
            self._stop_grace_s = 0.0


def _prepare_authentication(settings: Settings, catalog: Catalog, directory: DataDirectory) -> None:
    def keep(token: str) -> None:
        try:
            write_durably(directory.admin_token, f"{token}\n")
        except OSError as fault:
            where = directory.admin_token
            raise StartupFailed(f"cannot write the administrator's token to {where}: {fault}") from fault

    if ensure_administrator(catalog, keep):
        made = "nobody could administer this server: it made a token of 'admin'"
        _log.warning(made, file=str(directory.admin_token))
    host = settings.listen.rpartition(":")[0].strip("[]")
    if not host.startswith("127.") and host not in _LOOPBACK:
        _log.warning("tokens cross the network unencrypted: put TLS before this server", listen=settings.listen)


def _bind(server: grpc.Server, listen: str) -> str:
    host = listen.rpartition(":")[0]
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as fault:
        raise StartupFailed(
            f"cannot listen on {listen}: the port is taken, or the address is not this machine's. "
            "Choose another with --listen HOST:PORT (port 0 picks a free one)"
        ) from fault
    return f"{host}:{port}"
